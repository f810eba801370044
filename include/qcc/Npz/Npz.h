// NumPy's .npz archives: what qcc's tools take tensors from and write them to.
#ifndef QCC_NPZ_NPZ_H
#define QCC_NPZ_NPZ_H

#include "qcc/Artifact/DataType.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace qcc {

// A tensor in row-major order. Types that NumPy has no name for (bf16, float8, ...) are unsigned integers of the same
// size.
struct NpzArray {
  std::string name;
  DataType type = DataType::F32;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

// Reads every member: stored or deflated, any version of the .npy header, C or Fortran order, little-endian bool,
// integer, float and complex elements. The file is untrusted. On failure returns false and says why in `error`.
bool readNpz(const std::string &path, std::vector<NpzArray> &arrays, std::string &error);
bool parseNpz(const uint8_t *data, size_t size, std::vector<NpzArray> &arrays, std::string &error);

// Writes an uncompressed archive under a temporary name and renames it when complete.
bool writeNpz(const std::string &path, const std::vector<NpzArray> &arrays, std::string &error);

} // namespace qcc

#endif // QCC_NPZ_NPZ_H
