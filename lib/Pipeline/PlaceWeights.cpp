#include "PlaceWeights.h"
#include "QuantizeWeights.h"
#include "Signature.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Operator/Node.h"
#include "qcc/Pack/PackedLayout.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace qcc;

namespace {
/// Gives weights distinct names and places.
class Placer {
public:
  explicit Placer(Compilation &compilation) : c(compilation) {}

  int64_t place(Value weight, StringRef wanted, StringRef format, StringRef layout, int64_t bytes) {
    auto type = cast<RankedTensorType>(weight.getType());
    std::string name = wanted.str();
    for (int i = 1; !names.insert(name).second; ++i)
      name = (wanted + "." + Twine(i)).str();
    int64_t offset = c.weights.add(name, dataType(type.getElementType()), type.getShape().vec(), bytes);
    c.weightOrder.push_back(weight);
    Manifest::Tensor tensor{name, format.str(), layout.str(), type.getShape().vec(), offset, bytes};
    tensor.streamed = layout != "rows" || !isLookup(weight);
    c.manifest.tensors.push_back(tensor);
    return offset;
  }

private:
  /// Whether runs read single rows of it.
  static bool isLookup(Value weight) {
    return llvm::all_of(weight.getUsers(), [](Operation *user) {
      auto node = dyn_cast<onnx::NodeOp>(user);
      return node && node.getOpType() == "Gather";
    });
  }

  Compilation &c;
  llvm::StringSet<> names;
};
} // namespace

LogicalResult qcc::placeWeights(Compilation &c) {
  Placer placer(c);
  WalkResult result = c.module->walk([&](Operation *op) {
    if (auto weight = dyn_cast<onnx::WeightOp>(op)) {
      auto tensor = constantOf(weight.getResult());
      if (!tensor) {
        weight.emitError("the data of weight '") << weight.getName() << "' is not there";
        return WalkResult::interrupt();
      }
      Type element = cast<RankedTensorType>(weight.getResult().getType()).getElementType();
      int64_t offset = placer.place(weight.getResult(), weight.getName(), qcc::name(dataType(element)), "rows",
                                    tensor->bytes.size());
      weight->setAttr("offset", IntegerAttr::get(IntegerType::get(&c.context, 64), offset));
    } else if (auto packed = dyn_cast<qnt::WeightOp>(op)) {
      auto format = findFormat(packed.getFormat());
      if (!format) {
        packed.emitError(llvm::toString(format.takeError()));
        return WalkResult::interrupt();
      }
      auto type = cast<RankedTensorType>(packed.getResult().getType());
      PackedLayout layout = PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1));
      packed.setOffset(
          placer.place(packed.getResult(), packed.getName(), packed.getFormat(), "rows16", layout.bytes()));
    }
    return WalkResult::advance();
  });
  return success(!result.wasInterrupted());
}

llvm::Error qcc::packWeight(Compilation &c, Value value, llvm::function_ref<bool(const void *, size_t)> write) {
  auto tensor = constantOf(value);
  auto weight = value.getDefiningOp<qnt::WeightOp>();
  if (!weight) {
    write(tensor->bytes.data(), tensor->bytes.size());
    return llvm::Error::success();
  }
  Format format = llvm::cantFail(findFormat(weight.getFormat())); // placeWeights has found it
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  PackedLayout layout = PackedLayout::of(format, rows, columns);
  EncodedMatrix matrix;
  bool isPlain = format.element->bits() == 32, isRows = weight.getOrder() == "rows";
  if (!isPlain) {
    auto encoded = encodeWeight(c, weight, format);
    if (!encoded)
      return encoded.takeError();
    matrix = std::move(*encoded);
  }
  const auto *floats = reinterpret_cast<const float *>(tensor->bytes.data());
  // Tiles that are packed at once.
  int64_t step = std::max<int64_t>(1, (1 << 20) / std::max<int64_t>(1, layout.tileBytes()));
  std::vector<uint8_t> part;
  for (int64_t tile = 0; tile < layout.tiles(); tile += step) {
    int64_t count = std::min(step, layout.tiles() - tile);
    part.resize(count * layout.tileBytes());
    if (isPlain)
      packTiles(layout, floats, isRows ? columns : 1, isRows ? 1 : rows, tile, count, part.data());
    else
      packTiles(layout, format, matrix, tile, count, part.data());
    if (!write(part.data(), part.size()))
      return llvm::Error::success();
  }
  part.assign(layout.bytes() - layout.rowScalesOffset(), 0);
  if (layout.hasRowScales)
    packRowScales(layout, format, matrix, part.data());
  write(part.data(), part.size());
  return llvm::Error::success();
}
