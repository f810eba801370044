#include "PlaceWeights.h"
#include "Signature.h"
#include "qcc/Operator/Node.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace qcc;

LogicalResult qcc::placeWeights(Compilation &c) {
  llvm::StringSet<> names;
  WalkResult result = c.module->walk([&](onnx::WeightOp weight) {
    auto type = cast<RankedTensorType>(weight.getResult().getType());
    auto tensor = constantOf(weight.getResult());
    if (!tensor) {
      weight.emitError("the data of weight '") << weight.getName() << "' is not there";
      return WalkResult::interrupt();
    }
    std::string name = weight.getName().str();
    for (int i = 1; !names.insert(name).second; ++i)
      name = (weight.getName() + "." + Twine(i)).str();
    int64_t offset = c.weights.add(name, dataType(type.getElementType()), type.getShape().vec(), tensor->bytes.size());
    weight->setAttr("offset", IntegerAttr::get(IntegerType::get(&c.context, 64), offset));
    c.weightOrder.push_back(weight.getResult());
    c.manifest.tensors.push_back({name, std::string(qcc::name(dataType(type.getElementType()))), "rows",
                                  type.getShape().vec(), offset, int64_t(tensor->bytes.size())});
    return WalkResult::advance();
  });
  return success(!result.wasInterrupted());
}
