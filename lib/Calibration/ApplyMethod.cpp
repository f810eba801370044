#include "dialects/onnx/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Calibration/Methods.h"
#include "qcc/Pack/WeightMatrix.h"
#include "llvm/Support/Threading.h"

using namespace mlir;
using namespace qcc;

static qnt::WeightOp weightOf(qnt::LinearOp linear) { return linear.getWeight().getDefiningOp<qnt::WeightOp>(); }

static int64_t rowsOf(qnt::LinearOp linear) {
  return cast<RankedTensorType>(linear.getWeight().getType()).getDimSize(0);
}

namespace {
/// Operations of a group that are quantized in the same way.
struct GroupPart {
  Format format;
  Method method;
  LinearGroup group;

  double weights() const {
    double sum = 0;
    for (qnt::LinearOp linear : group.linears)
      sum += double(rowsOf(linear)) * double(group.columns());
    return sum;
  }
};
} // namespace

/// The group's operations that have a method, by format and method; those whose weights are encoded already are left
/// out.
static std::vector<GroupPart> partsOf(const LinearGroup &group) {
  std::vector<GroupPart> parts;
  for (qnt::LinearOp linear : group.linears) {
    auto name = linear->getAttrOfType<StringAttr>(methodAttr);
    if (weightOf(linear).getOrder() == "encoded" || !name || name == keptMethod)
      continue;
    Format format = llvm::cantFail(findFormat(weightOf(linear).getFormat())); // chosen already
    Method method = llvm::cantFail(Method::parse(name.getValue()));
    auto part = llvm::find_if(
        parts, [&](const GroupPart &p) { return p.format.name == format.name && p.method.name() == method.name(); });
    if (part == parts.end())
      part = parts.insert(parts.end(), {format, method, {group.x, {}}});
    part->group.linears.push_back(linear);
  }
  return parts;
}

/// All that is asked for of a group's operations.
static std::string askedOf(const LinearGroup &group) {
  std::string text;
  for (qnt::LinearOp linear : group.linears) {
    auto method = linear->getAttrOfType<StringAttr>(methodAttr);
    text +=
        (weightOf(linear).getFormat() + " " + linear.getAct() + " " + (method ? method.getValue() : "") + "\n").str();
  }
  return text;
}

std::optional<Method> qcc::methodThatNeedsData(ModuleOp module) {
  for (const LinearGroup &group : linearGroups(module))
    for (const GroupPart &part : partsOf(group))
      if (part.method.needsData())
        return part.method;
  return std::nullopt;
}

/// Multiplies what the operations read by a constant for each column.
static void multiplyInput(const LinearGroup &group, ArrayRef<float> inverse) {
  qnt::LinearOp first = group.linears.front();
  OpBuilder b(first);
  ArrayRef<char> bytes(reinterpret_cast<const char *>(inverse.data()), inverse.size() * sizeof(float));
  std::string name = weightOf(first).getName().str() + ".input_scale";
  ElementsAttr data = DenseResourceElementsAttr::get(RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type()),
                                                     name, HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64));
  Value scale = onnx::WeightOp::create(b, first.getLoc(),
                                       RankedTensorType::get({int64_t(inverse.size())}, b.getF32Type()), name, data);
  Value x = first.getX();
  auto product = onnx::NodeOp::create(b, first.getLoc(), TypeRange{x.getType()}, b.getStringAttr("Mul"),
                                      b.getStringAttr(""), b.getI64IntegerAttr(14), b.getDictionaryAttr({}),
                                      DictionaryAttr(), DenseI64ArrayAttr(), mlir::ValueRange{x, scale}, 0);
  product->setAttr(inputScaleAttr, b.getUnitAttr());
  for (qnt::LinearOp linear : group.linears)
    linear.getXMutable().assign(product->getResult(0));
}

namespace {
class Application {
public:
  Application(GroupCache *cache, llvm::function_ref<void(const MethodProgress &)> report)
      : cache(cache), report(report), threads(llvm::hardware_concurrency().compute_thread_count()) {}

  /// What is to be done in all.
  void expect(ArrayRef<LinearGroup> groups) {
    progress.all = groups.size();
    for (const LinearGroup &group : groups)
      for (const GroupPart &part : partsOf(group))
        progress.weightsAll += part.weights();
  }

  LogicalResult quantize(LinearGroup &group, ReadActivations activations) {
    std::string key = cache ? cache->next(askedOf(group)) : "";
    bool isCached = true, isEmpty = true;
    std::vector<GroupPart> parts = partsOf(group);
    for (auto [i, part] : llvm::enumerate(parts)) {
      isEmpty = false;
      Location loc = part.group.linears.front().getLoc();
      std::string partKey = key + "-" + std::to_string(i);
      SmallVector<int64_t> rows;
      for (qnt::LinearOp linear : part.group.linears)
        rows.push_back(rowsOf(linear));
      std::optional<GroupResult> result;
      if (cache)
        result = cache->load(partKey, part.format, rows, part.group.columns(), loc);
      if (result) {
        progress.weightsAll -= part.weights();
      } else {
        isCached = false;
        result = compute(part, activations);
        if (!result)
          return failure();
        if (cache)
          cache->store(partKey, *result, loc);
        progress.weightsDone += part.weights();
      }
      apply(part, *result);
    }
    ++progress.done, progress.fromCache += isCached && !isEmpty;
    report(progress);
    return success();
  }

  std::vector<WeightQuality> qualities;

private:
  std::optional<GroupResult> compute(GroupPart &part, ReadActivations read) {
    std::vector<std::vector<float>> matrices;
    for (qnt::LinearOp linear : part.group.linears)
      matrices.push_back(qcc::rowsOf(weightOf(linear)));
    MethodGroup group(part.format, std::move(matrices), part.group.columns(), threads);
    group.setActivations(part.group.linears.front().getAct(), part.method.alpha());
    if (part.method.needsData()) {
      const Activations *activations = read();
      if (!activations)
        return std::nullopt;
      if (llvm::Error error = group.observe(*activations, part.method.needs() == MethodRow::Covariance))
        return refuse(part, std::move(error));
    }
    // A matrix that a lookup shares cannot be scaled for its products alone.
    bool isShared = llvm::any_of(part.group.linears, [](qnt::LinearOp op) { return !weightOf(op)->hasOneUse(); });
    for (const MethodRow *step : part.method.steps()) {
      if (step->kind == MethodRow::OfConvolutions)
        continue;
      if (step->kind == MethodRow::ScalesInput && isShared) {
        emitRemark(part.group.linears.front().getLoc()) << "its input is not scaled: a lookup shares the matrix";
        continue;
      }
      if (!group.rounds() && !step->isForFloats)
        continue;
      if (llvm::Error error = step->apply(group))
        return refuse(part, std::move(error));
    }
    if (!group.rounds())
      group.keepRows();
    return group.take();
  }

  static std::nullopt_t refuse(GroupPart &part, llvm::Error error) {
    emitError(part.group.linears.front().getLoc()) << "cannot be quantized so: " << llvm::toString(std::move(error));
    return std::nullopt;
  }

  void apply(const GroupPart &part, const GroupResult &result) {
    for (auto [linear, made] : llvm::zip(part.group.linears, result.weights)) {
      qnt::WeightOp weight = weightOf(linear);
      if (made.codes) {
        qualities.push_back({weight.getResult(), made.signalToNoise});
        setEncoded(weight, part.format, *made.codes);
      } else if (!made.rows.empty()) {
        setRows(weight, made.rows);
      }
    }
    if (!result.inverseScales.empty())
      multiplyInput(part.group, result.inverseScales);
  }

  GroupCache *cache;
  llvm::function_ref<void(const MethodProgress &)> report;
  unsigned threads;
  MethodProgress progress;
};
} // namespace

FailureOr<std::vector<WeightQuality>> qcc::applyMethods(ModuleOp module, const Samples *samples, OpenModule open,
                                                        GroupCache *cache,
                                                        llvm::function_ref<void(const MethodProgress &)> progress) {
  Application application(cache, progress);
  SmallVector<LinearGroup> groups = linearGroups(module);
  application.expect(groups);
  if (cache)
    cache->start(module, samples ? *samples : Samples());
  auto visit = [&](LinearGroup &group, ReadActivations activations) {
    return application.quantize(group, activations);
  };
  if (failed(visitGroups(module, samples ? *samples : Samples(), open, visit)))
    return failure();
  return std::move(application.qualities);
}
