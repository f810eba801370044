#include "Border.h"

#include <cstring>

namespace qcc {
namespace {

// DLDeviceType
constexpr int32_t cpuDevice = 1, cudaDevice = 2, cudaHostDevice = 3, cudaManagedDevice = 13;
constexpr uint8_t unsignedCode = 1;
constexpr uintptr_t deviceAlignment = 256;

bool isOn(const DLTensor &tensor, const DLDevice &device) {
  int32_t kind = tensor.device.device_type == cudaManagedDevice ? cudaDevice : tensor.device.device_type;
  return kind == device.device_type && tensor.device.device_id == device.device_id;
}

bool isContiguous(const DLTensor &tensor) {
  if (!tensor.strides)
    return true;
  int64_t expected = 1;
  for (int32_t d = tensor.ndim - 1; d >= 0; --d) {
    if (tensor.shape[d] != 1 && tensor.strides[d] != expected)
      return false;
    expected *= tensor.shape[d];
  }
  return true;
}

std::string spell(const std::vector<Manifest::Dim> &dims) {
  std::string text;
  for (const Manifest::Dim &dim : dims)
    text += (text.empty() ? "" : ", ") + (dim.isStatic() ? std::to_string(dim.size) : dim.symbol);
  return "[" + text + "]";
}

} // namespace

bool isOnHost(const DLTensor &tensor) {
  return tensor.device.device_type == cpuDevice || tensor.device.device_type == cudaHostDevice;
}

std::string checkTensor(const DLTensor &tensor, DataType type, const std::vector<Manifest::Dim> &dims,
                        const Memory &memory) {
  const DLDevice device = memory.device();
  if (!isOnHost(tensor) && !isOn(tensor, device))
    return device.device_type == cpuDevice ? "is not in the CPU's memory"
                                           : "is neither in the CPU's memory nor in that of the session's device";
  bool sameType = tensor.dtype.code == dlpackCode(type) && tensor.dtype.bits == bits(type);
  bool sameWidth = tensor.dtype.code == unsignedCode && tensor.dtype.bits == 8 * byteSize(type);
  if (tensor.dtype.lanes != 1 || (!sameType && !sameWidth)) {
    std::optional<DataType> given = fromDlpack(tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes);
    return "has element type " + std::string(given ? name(*given) : "unknown") + ", the model takes " +
           std::string(name(type));
  }
  if (tensor.ndim < 0 || tensor.ndim != static_cast<int64_t>(dims.size()))
    return "has " + std::to_string(tensor.ndim) + " dimensions, the model takes " + spell(dims);
  if (tensor.ndim > 0 && !tensor.shape)
    return "has no shape";
  for (size_t d = 0; d < dims.size(); ++d)
    if (tensor.shape[d] < 0 || (dims[d].isStatic() && tensor.shape[d] != dims[d].size))
      return "has " + std::to_string(tensor.shape[d]) + " in dimension " + std::to_string(d) + ", the model takes " +
             spell(dims);
  std::optional<int64_t> bytes = tensorBytes(type, tensor.shape, dims.size());
  if (!bytes)
    return "is too large";
  if (*bytes > 0 && !tensor.data)
    return "has no data";
  if (isOnHost(tensor) || *bytes == 0)
    return {};
  if (!memory.holds(tensor.data))
    return "is said to be on the device, but its data is not in the device's memory";
  if (!isContiguous(tensor))
    return "is on the device and has gaps or another order than row-major; copy it first";
  return {};
}

namespace {

const uint8_t *firstElement(const DLTensor &tensor) {
  return static_cast<const uint8_t *>(tensor.data) + tensor.byte_offset;
}

// Of a tensor in the processor's memory that is not empty; `copy` is there too. Null when there is no memory.
const void *gather(const DLTensor &tensor, DataType type, Buffer &copy) {
  const size_t element = byteSize(type);
  const size_t bytes = *tensorBytes(type, tensor.shape, tensor.ndim);
  const uint8_t *data = firstElement(tensor);
  bool contiguous = isContiguous(tensor);
  if (contiguous && reinterpret_cast<uintptr_t>(data) % element == 0)
    return data;
  if (!copy.reserve(bytes))
    return nullptr;
  if (contiguous) {
    std::memcpy(copy.data(), data, bytes);
    return copy.data();
  }
  std::vector<int64_t> at(tensor.ndim, 0);
  int64_t offset = 0;
  for (uint8_t *to = copy.data(); to != copy.data() + bytes; to += element) {
    std::memcpy(to, data + offset * static_cast<int64_t>(element), element);
    for (int32_t d = tensor.ndim - 1; d >= 0; --d) {
      offset += tensor.strides[d];
      if (++at[d] < tensor.shape[d])
        break;
      offset -= tensor.strides[d] * tensor.shape[d];
      at[d] = 0;
    }
  }
  return copy.data();
}

} // namespace

const void *contents(const DLTensor &tensor, DataType type, Buffer &copy, Buffer &staging, const std::string &what,
                     Error &error) {
  const int64_t bytes = *tensorBytes(type, tensor.shape, tensor.ndim);
  if (bytes == 0)
    return copy.data();
  Memory &memory = copy.memory();
  auto refused = [&](const Memory &by) {
    by.refuse(error, what);
    return nullptr;
  };
  if (!isOnHost(tensor)) {
    const uint8_t *data = firstElement(tensor);
    if (reinterpret_cast<uintptr_t>(data) % deviceAlignment == 0)
      return data;
    return copy.reserve(bytes) && memory.copy(Copy::Within, copy.data(), data, bytes) ? copy.data() : refused(memory);
  }
  bool stays = &memory == Memory::host().get();
  const void *gathered = gather(tensor, type, stays ? copy : staging);
  if (!gathered)
    return refused(*Memory::host());
  if (stays)
    return gathered;
  return copy.reserve(bytes) && memory.copy(Copy::In, copy.data(), gathered, bytes) ? copy.data() : refused(memory);
}

void OwnedTensor::fill(DataType type, std::vector<int64_t> newDims, Buffer newStorage) {
  storage = std::move(newStorage);
  dims = std::move(newDims);
  DLTensor &tensor = managed.dl_tensor;
  tensor.data = storage.data();
  tensor.device = storage.memory().device();
  tensor.ndim = static_cast<int32_t>(dims.size());
  tensor.dtype = {dlpackCode(type), static_cast<uint8_t>(bits(type)), 1};
  tensor.shape = dims.data();
  managed.manager_ctx = this;
  managed.deleter = [](DLManagedTensor *self) {
    OwnedTensor *tensor = static_cast<OwnedTensor *>(self->manager_ctx);
    // The memory is used again at once, so what its reader has started must have ended.
    tensor->storage.memory().settle();
    delete tensor;
  };
}

} // namespace qcc
