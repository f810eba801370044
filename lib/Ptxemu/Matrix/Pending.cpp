#include "Decode/Decoder.h"
#include "Execute/Families.h"
namespace qcc::ptxemu {
void decodeWgmma(Decoder &decoder) { decoder.fail("the instruction is not understood"); }
void decodeTensorCore(Decoder &decoder) { decoder.fail("the instruction is not understood"); }
} // namespace qcc::ptxemu
