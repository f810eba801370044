// Operands of matrix products in shared memory, as descriptors of wgmma and tcgen05 say where they lie.
#ifndef QCC_LIB_PTXEMU_MATRIX_DESCRIPTOR_H
#define QCC_LIB_PTXEMU_MATRIX_DESCRIPTOR_H

#include "Execute/Machine.h"
#include "Syntax/Type.h"

#include <cstdint>
#include <vector>

namespace qcc::ptxemu {

struct MatrixDescriptor {
  uint32_t start = 0, leading = 0, stride = 0; // in bytes
  uint32_t span = 16;                          // of the swizzle; 16 is none
  uint32_t baseOffset = 0;
};

// Both stop the launch if the layout is not one of theirs.
MatrixDescriptor wgmmaDescriptor(Machine &machine, uint64_t bits);
MatrixDescriptor tensorCoreDescriptor(Machine &machine, uint64_t bits);

// How the elements of an operand lie in 16-byte units.
struct TileShape {
  Type type = Type::None;
  unsigned rows = 0, depth = 0; // depth is along k
  unsigned firstRow = 0;
  bool isRowMajor = false; // rows (m or n) are contiguous, not k
  bool isPacked = false;   // two 4-bit elements in a byte
};

// Where the unit of 16 bytes begins that holds byte `k` of a row (k contiguous), or byte `row` of a column.
uint32_t unitAddress(const MatrixDescriptor &descriptor, bool isRowMajor, uint32_t row, uint32_t k);

// Reads an operand: values[row][k], or values[k][row] if `transposed`. Checks each access.
void readTile(Machine &machine, Warp &warp, const MatrixDescriptor &descriptor, const TileShape &shape, bool transposed,
              const Actor &actor, std::vector<float> &values);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_MATRIX_DESCRIPTOR_H
