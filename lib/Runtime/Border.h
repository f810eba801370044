// Tensors as they cross the C interface.
#ifndef QCC_LIB_RUNTIME_BORDER_H
#define QCC_LIB_RUNTIME_BORDER_H

#include "Buffer.h"
#include "qcc/Artifact/Manifest.h"
#include "qcc/Runtime/qcc.h"

#include <string>
#include <vector>

namespace qcc {

// Empty when the tensor is what the model declares and in the processor's memory or in `memory`, else what is wrong, to
// follow "input 'x'".
std::string checkTensor(const DLTensor &tensor, DataType type, const std::vector<Manifest::Dim> &dims,
                        const Memory &memory);

bool isOnHost(const DLTensor &tensor);

// The elements of a checked tensor, contiguous and aligned, in the memory of `copy`: the tensor's own where they are so
// already, else what `copy` then holds. `staging`, in the processor's memory, is for what is on its way to a device and
// stays until the memory of `copy` has waited. Null when that fails; `what` says in the error what it was for.
const void *contents(const DLTensor &tensor, DataType type, Buffer &copy, Buffer &staging, const std::string &what,
                     Error &error);

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
