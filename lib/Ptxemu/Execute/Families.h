// The families of instructions: each decodes its own.
#ifndef QCC_LIB_PTXEMU_EXECUTE_FAMILIES_H
#define QCC_LIB_PTXEMU_EXECUTE_FAMILIES_H

namespace qcc::ptxemu {

class Decoder;

// Arithmetic.
void decodeMove(Decoder &);
void decodeAddSubtract(Decoder &);
void decodeCarry(Decoder &);
void decodeMultiply(Decoder &);
void decodeMultiplyAdd(Decoder &);
void decodeFusedMultiplyAdd(Decoder &);
void decodeDivide(Decoder &);
void decodeMinMax(Decoder &);
void decodeUnary(Decoder &);
void decodeLogic(Decoder &);
void decodeShift(Decoder &);
void decodeFunnelShift(Decoder &);
void decodeBits(Decoder &);
void decodeDotProduct(Decoder &);
void decodeSelect(Decoder &);
void decodeCompare(Decoder &);
void decodeFunction(Decoder &);
void decodeCopySign(Decoder &);
void decodeTestProperty(Decoder &);
void decodeConvert(Decoder &);
void decodeConvertAddress(Decoder &);
// Control.
void decodeBranch(Decoder &);
void decodeIndexedBranch(Decoder &);
void decodeCall(Decoder &);
void decodeReturn(Decoder &);
void decodeExit(Decoder &);
void decodeTrap(Decoder &);
void decodeNothing(Decoder &);
// Warps and barriers.
void decodeShuffle(Decoder &);
void decodeVote(Decoder &);
void decodeMatch(Decoder &);
void decodeReduce(Decoder &);
void decodeElect(Decoder &);
void decodeActiveMask(Decoder &);
void decodeBarrier(Decoder &);
void decodeSetMaxRegisters(Decoder &);
// Memory.
void decodeLoad(Decoder &);
void decodeStore(Decoder &);
void decodeAtomic(Decoder &);
void decodeFence(Decoder &);
void decodePrefetch(Decoder &);
void decodeCreatePolicy(Decoder &);
void decodeMapAddress(Decoder &);
void decodeCopy(Decoder &);
void decodeMbarrier(Decoder &);
void decodeIsSpace(Decoder &);
// Matrices.
void decodeMma(Decoder &);
void decodeMatrixLoad(Decoder &);
void decodeMatrixStore(Decoder &);
void decodeMatrixMove(Decoder &);
void decodeWgmma(Decoder &);
void decodeTensorCore(Decoder &);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_EXECUTE_FAMILIES_H
