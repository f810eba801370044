// A weight in the IR as a matrix: float32 rows before quantization, codes and scales after it.
#pragma once

#include "dialects/qnt/Qnt.h"
#include "qcc/Format/Format.h"

namespace qcc {

/// The bytes that the weight stores; empty when they were left out of the IR.
llvm::ArrayRef<char> storedBytes(qnt::WeightOp weight);

/// A weight of float32 elements as rows of outputs.
std::vector<float> rowsOf(qnt::WeightOp weight);

/// The codes, scales and zeros of a weight that is encoded.
EncodedMatrix encodedMatrix(qnt::WeightOp weight, const Format &format);

/// Makes the weight an encoded one of the format.
void setEncoded(qnt::WeightOp weight, const Format &format, const EncodedMatrix &matrix);

/// Makes the weight one of these float32 rows of outputs.
void setRows(qnt::WeightOp weight, llvm::ArrayRef<float> matrix);

/// 10 · log10 of the energy of a matrix over that of its rounding errors; 999 where there are none.
double signalToNoise(const Format &format, llvm::ArrayRef<float> matrix, const EncodedMatrix &encoded);

} // namespace qcc
