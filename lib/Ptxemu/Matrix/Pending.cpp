#include "Decode/Decoder.h"
#include "Execute/Families.h"
namespace qcc::ptxemu {
#define PENDING(n)                                                                                                     \
  void n(Decoder &decoder) { decoder.fail("the instruction is not understood"); }
PENDING(decodeCopy)
PENDING(decodeMbarrier)
PENDING(decodeMma)
PENDING(decodeMatrixLoad) PENDING(decodeMatrixStore) PENDING(decodeMatrixMove) PENDING(decodeWgmma)
    PENDING(decodeTensorCore)
} // namespace qcc::ptxemu
