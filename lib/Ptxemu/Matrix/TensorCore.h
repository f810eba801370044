// Tensor memory: 128 lanes of 512 columns of 32 bits. An address is lane << 16 | column.
#ifndef QCC_LIB_PTXEMU_MATRIX_TENSORCORE_H
#define QCC_LIB_PTXEMU_MATRIX_TENSORCORE_H

#include "Decode/Decoder.h"
#include "Execute/Machine.h"

namespace qcc::ptxemu {

constexpr uint32_t tensorLanes = 128, tensorColumns = 512;

TensorMemory &tensorMemory(Block &block);
// A cell, which must be allocated, and for a read must have been written.
uint32_t &tensorCell(Machine &machine, TensorMemory &memory, uint32_t lane, uint32_t column, bool isWrite);
// Whether an access to columns of a group of 32 lanes, or of all if `group` is negative, is ordered after what wrote
// them last; a write becomes the last.
void touchColumns(Machine &machine, TensorMemory &memory, uint32_t column, uint32_t count, bool isWrite,
                  const Actor &actor, int group = -1);
// An operation that one thread starts. Stops if several do.
void requireOneThread(Machine &machine, uint32_t mask);

void decodeTensorProduct(Decoder &decoder);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_MATRIX_TENSORCORE_H
