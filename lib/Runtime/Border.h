// Tensors as they cross the C interface.
#ifndef QCC_LIB_RUNTIME_BORDER_H
#define QCC_LIB_RUNTIME_BORDER_H

#include "Buffer.h"
#include "qcc/Artifact/Manifest.h"
#include "qcc/Runtime/qcc.h"

#include <string>
#include <vector>

namespace qcc {

// Empty when the tensor is what the model declares, else what is wrong, to follow "input 'x'".
std::string checkTensor(const DLTensor &tensor, DataType type, const std::vector<Manifest::Dim> &dims);

// The elements of a checked tensor, contiguous and aligned: the tensor's own memory where that is so already, else
// `copy`. Null when there is no memory.
const void *contents(const DLTensor &tensor, DataType type, Buffer &copy);

// A tensor that owns its elements; `managed.deleter` deletes it.
struct OwnedTensor {
  OwnedTensor() = default;
  void fill(DataType type, std::vector<int64_t> dims, Buffer storage);

  DLManagedTensor managed = {};

private:
  Buffer storage;
  std::vector<int64_t> dims;
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_BORDER_H
