#include "TinySession.h"

using namespace qcc;
using namespace qcc::test;

namespace {

class DeviceTest : public TinySession {};

TEST_F(DeviceTest, namesThatAreNone) {
  writeBoth();
  for (const char *name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "emulate:0"}) {
    device = name;
    expectError(tryModel(), QCC1_ARGUMENT, "devices are cpu, cuda, cuda:N (the Nth, from 0) and emulate");
  }
}

} // namespace
