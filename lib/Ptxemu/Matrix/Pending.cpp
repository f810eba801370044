#include "Decode/Decoder.h"
#include "Execute/Families.h"
namespace qcc::ptxemu {
void decodeTensorCore(Decoder &decoder) { decoder.fail("the instruction is not understood"); }
} // namespace qcc::ptxemu
