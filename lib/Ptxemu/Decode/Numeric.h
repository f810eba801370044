// The parts of arithmetic that integers and floats decode differently behind the same opcode.
#ifndef QCC_LIB_PTXEMU_DECODE_NUMERIC_H
#define QCC_LIB_PTXEMU_DECODE_NUMERIC_H

#include "Decode/Decoder.h"

namespace qcc::ptxemu {

void decodeIntegerAddSubtract(Decoder &decoder, Type type);
void decodeIntegerMultiply(Decoder &decoder, Type type, int part);
void decodeIntegerMinMax(Decoder &decoder, Type type);
void decodeIntegerDivide(Decoder &decoder, Type type);
void decodeIntegerUnary(Decoder &decoder, Type type);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_DECODE_NUMERIC_H
