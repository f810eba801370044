#include "Tensors.h"
#include "dialects/onnx/Onnx.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qcc;
using ::onnx::TensorProto;

std::string qcc::elementName(int32_t onnxType) {
  std::string name =
      TensorProto::DataType_IsValid(onnxType) ? TensorProto::DataType_Name(TensorProto::DataType(onnxType)) : "";
  return name.empty() ? "type " + std::to_string(onnxType) : name;
}

RankedTensorType qcc::tensorType(const TensorProto &tensor, Location loc) {
  Type element = qcc::onnx::elementType(tensor.data_type(), loc.getContext());
  if (!element) {
    emitError(loc) << "tensor '" << tensor.name() << "' has elements of " << elementName(tensor.data_type())
                   << ", which qcc does not support";
    return {};
  }
  int64_t count = 1;
  for (int64_t dim : tensor.dims())
    if (dim < 0 || llvm::MulOverflow(count, std::max<int64_t>(dim, 1), count) || count > (int64_t(1) << 48)) {
      emitError(loc) << "tensor '" << tensor.name() << "' has an impossible shape";
      return {};
    }
  return RankedTensorType::get(ArrayRef<int64_t>(tensor.dims().data(), tensor.dims_size()), element);
}

/// The typed data fields (float_data, int32_data, ...) as raw bytes.
static std::string typedBytes(const TensorProto &tensor, unsigned bits) {
  std::string out;
  auto append = [&](const auto &values) {
    out.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(*values.data()));
  };
  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
    append(tensor.float_data());
    return out;
  case TensorProto::DOUBLE:
    append(tensor.double_data());
    return out;
  case TensorProto::INT64:
    append(tensor.int64_data());
    return out;
  case TensorProto::UINT64:
    append(tensor.uint64_data());
    return out;
  case TensorProto::UINT32:
    for (uint64_t value : tensor.uint64_data()) {
      uint32_t narrow = value;
      out.append(reinterpret_cast<const char *>(&narrow), 4);
    }
    return out;
  default: // everything else stands in int32_data, an element (or a packed pair of 4-bit elements) in the low bits of
           // each
    for (int32_t value : tensor.int32_data())
      out.append(reinterpret_cast<const char *>(&value), std::max(bits, 8u) / 8);
    return out;
  }
}

static ElementsAttr bytesAttr(StringRef name, StringRef bytes, std::shared_ptr<MappedFile> owner,
                              MLIRContext *context) {
  constexpr size_t inlineBelow = 1024; // small ones are read by shape inference and printed in full
  auto type = RankedTensorType::get({int64_t(bytes.size())}, IntegerType::get(context, 8));
  ArrayRef<char> data(bytes.data(), bytes.size());
  if (bytes.size() <= inlineBelow)
    return DenseElementsAttr::getFromRawBuffer(type, data);
  AsmResourceBlob blob = owner ? AsmResourceBlob(
                                     data, 1, [owner](void *, size_t, size_t) {}, /*dataIsMutable=*/false)
                               : HeapAsmResourceBlob::allocateAndCopyWithAlign(data, 64);
  return DenseResourceElementsAttr::get(type, name, std::move(blob));
}

ElementsAttr qcc::tensorBytes(const TensorProto &tensor, ModelFile &file, Location loc) {
  RankedTensorType type = tensorType(tensor, loc);
  if (!type)
    return {};
  std::optional<int64_t> expected = qcc::onnx::rawBytes(type.getElementType(), type.getNumElements());
  if (!expected) {
    emitError(loc) << "tensor '" << tensor.name() << "' is too large";
    return {};
  }
  auto checked = [&](StringRef bytes, std::shared_ptr<MappedFile> owner) -> ElementsAttr {
    if (int64_t(bytes.size()) != *expected) {
      emitError(loc) << "tensor '" << tensor.name() << "' has " << bytes.size() << " bytes of data, but its type "
                     << type << " needs " << *expected;
      return {};
    }
    return bytesAttr(tensor.name(), bytes, std::move(owner), loc.getContext());
  };
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    StringRef location;
    int64_t offset = 0, length = -1;
    for (const auto &entry : tensor.external_data()) {
      StringRef value = entry.value();
      if (entry.key() == "location")
        location = value;
      else if ((entry.key() == "offset" && value.getAsInteger(10, offset)) ||
               (entry.key() == "length" && value.getAsInteger(10, length))) {
        emitError(loc) << "tensor '" << tensor.name() << "' has the external data " << entry.key() << " '" << value
                       << "', which is no number";
        return {};
      }
    }
    auto range = file.external(location, offset, length < 0 ? *expected : length);
    if (!range) {
      emitError(loc) << "tensor '" << tensor.name() << "': " << llvm::toString(range.takeError());
      return {};
    }
    return checked(range->bytes, range->file);
  }
  if (tensor.has_raw_data())
    return checked(tensor.raw_data(), nullptr);
  return checked(typedBytes(tensor, type.getElementTypeBitWidth()), nullptr);
}
