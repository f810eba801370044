#include "QuantizeWeights.h"
#include "allocation/AllocateFormats.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Operator/Node.h"
#include "qcc/Pack/WeightMatrix.h"
#include "qcc/Pipeline/Plan.h"
#include "qcc/Target/Linear.h"

using namespace mlir;
using namespace qcc;

llvm::Expected<EncodedMatrix> qcc::encodeWeight(Compilation &c, qnt::WeightOp weight, const Format &format) {
  if (weight.getOrder() == "encoded")
    return encodedMatrix(weight, format);
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  std::vector<float> matrix = rowsOf(weight);
  if (!isFinite(matrix))
    return llvm::createStringError("weight '" + weight.getName() + "' holds infinities or NaNs, which '" + format.name +
                                   "' cannot express; use --fmt=float32");
  EncodedMatrix encoded = format.encode(matrix, type.getDimSize(0), type.getDimSize(1));
  c.quality[weight.getResult()] = signalToNoise(format, matrix, encoded);
  return encoded;
}

llvm::Expected<std::vector<float>> qcc::decodeWeight(Compilation &c, qnt::WeightOp weight, const Format &format) {
  if (format.element->bits() == 32)
    return rowsOf(weight);
  auto encoded = encodeWeight(c, weight, format);
  if (!encoded)
    return encoded.takeError();
  std::vector<float> values(encoded->rows * encoded->columns);
  format.decode(*encoded, 0, encoded->rows, values.data());
  return values;
}

bool qcc::isForGpus(const Compilation &c) {
  return llvm::all_of(c.options.targets, [](const std::string &name) {
    auto facts = findTarget(name);
    if (!facts)
      return llvm::consumeError(facts.takeError()), false; // reported when the program is tiled
    return facts->device.has_value();
  });
}

LogicalResult qcc::setChoice(Compilation &c, const LinearChoice &choice) {
  qnt::LinearOp linear = choice.op;
  auto weight = linear.getWeight().getDefiningOp<qnt::WeightOp>();
  // A weight that is encoded already keeps its codes, and the compute type that the file asks for.
  bool isEncoded = weight.getOrder() == "encoded";
  auto own = isEncoded ? findFormat(weight.getFormat()) : llvm::Expected<Format>(choice.formats.front());
  if (!own)
    return emitError(linear.getLoc()) << llvm::toString(own.takeError());
  const Format &format = *own;
  bool asksFor = isEncoded && choice.act == "auto";
  auto act = chooseComputeType(format, asksFor ? linear.getAct() : StringRef(choice.act), isForGpus(c));
  if (!act)
    return emitError(choice.actLoc) << llvm::toString(act.takeError());
  if (!constantOf(weight.getResult()))
    return emitError(linear.getLoc()) << "the data of weight '" << weight.getName() << "' is not there";
  linear.setAct(*act);
  weight.setFormat(format.name);
  Builder b(&c.context);
  if (choice.harm)
    linear->setAttr(harmAttr, b.getF64FloatAttr(*choice.harm));
  if (choice.nanoseconds)
    linear->setAttr(choice.isTimeMeasured ? measuredTimeAttr : estimatedTimeAttr,
                    b.getI64IntegerAttr(*choice.nanoseconds));
  if (isEncoded)
    linear->setAttr(methodAttr, StringAttr::get(&c.context, keptMethod));
  else if (choice.method.changes(format))
    linear->setAttr(methodAttr, StringAttr::get(&c.context, choice.method.name()));
  return success();
}

LogicalResult qcc::chooseFormats(Compilation &c) {
  auto choices = applyRecipe(c);
  if (failed(choices))
    return failure();
  if (failed(allocateFormats(c, *choices)))
    return failure();
  for (const LinearChoice &choice : *choices)
    if (failed(setChoice(c, choice)))
      return failure();
  return success();
}
