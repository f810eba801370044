#include "InputMakers.h"
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

/// Whether a lookup shares a matrix of the group: it cannot be scaled for its products alone.
static bool isShared(const LinearGroup &group) {
  return llvm::any_of(group.linears, [](qnt::LinearOp op) { return !weightOf(op)->hasOneUse(); });
}

namespace {
/// What linear operations are scaled by before any step: factors of their weights' rows and columns. Scales that were
/// found for an input are divided out of the rows that make it.
class ScaledWeights {
public:
  void add(const LinearGroup &group, const InputMaker &maker, ArrayRef<float> inverse) {
    for (qnt::LinearOp linear : group.linears) {
      isScaled.insert(linear);
      std::vector<float> &columns = factors[linear].columns;
      columns.assign(inverse.size(), 1);
      for (auto [column, factor] : llvm::zip(columns, inverse))
        column /= factor;
    }
    std::vector<float> &rows = factors[maker.op].rows;
    rows.assign(size_t(rowsOf(maker.op)), 1);
    for (auto [row, factor] : llvm::zip(maker.rows, inverse))
      rows[size_t(row)] = factor;
  }

  /// Whether the scales of what the operation reads have been found.
  bool hasInputScales(Operation *op) const { return isScaled.contains(op); }
  void expectInputScales(Operation *op) { isScaled.insert(op); }
  bool changes(Operation *op) const { return factors.count(op); }

  std::vector<float> rowsOfWeight(qnt::LinearOp op) const {
    std::vector<float> matrix = qcc::rowsOf(weightOf(op));
    auto it = factors.find(op);
    if (it == factors.end())
      return matrix;
    const auto &[rows, columns] = it->second;
    const size_t width = matrix.size() / size_t(::rowsOf(op));
    for (size_t i = 0; i < matrix.size() && !rows.empty(); ++i)
      matrix[i] *= rows[i / width];
    for (size_t i = 0; i < matrix.size() && !columns.empty(); ++i)
      matrix[i] *= columns[i % width];
    return matrix;
  }

private:
  struct Factors {
    std::vector<float> rows, columns;
  };
  llvm::DenseMap<Operation *, Factors> factors;
  llvm::DenseSet<Operation *> isScaled;
};

class Application {
public:
  Application(GroupCache *cache, ActivationFormat activationFormat,
              llvm::function_ref<void(const MethodProgress &)> report)
      : cache(cache), activationFormat(activationFormat), report(report),
        threads(llvm::hardware_concurrency().compute_thread_count()) {}

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

  /// Before anything is rounded: scales of inputs that their makers can take, found on the float program, so that the
  /// makers are rounded with them.
  LogicalResult scaleMadeInputs(ModuleOp module, const Samples &samples, OpenModule open) {
    SmallVector<LinearGroup> groups = linearGroups(module);
    llvm::DenseMap<size_t, InputMaker> makers;
    std::string asked;
    for (auto [i, group] : llvm::enumerate(groups)) {
      std::vector<GroupPart> parts = partsOf(group);
      bool isWhole = parts.size() == 1 && parts.front().group.linears.size() == group.linears.size();
      auto maker = isWhole && parts.front().method.scalesInputs() ? makerOfInput(group) : std::nullopt;
      if (!maker || isShared(group) || weightOf(maker->op).getOrder() == "encoded" || !weightOf(maker->op)->hasOneUse())
        continue;
      makers.try_emplace(i, std::move(*maker));
      asked += std::to_string(i) + " " + askedOf(group);
    }
    if (makers.empty())
      return success();
    std::string key = cache ? cache->next(asked) : "";
    OwningOpRef<ModuleOp> plain = floatCopy(module);
    size_t index = 0;
    auto visit = [&](LinearGroup &, ReadActivations activations) -> LogicalResult {
      auto maker = makers.find(index);
      LinearGroup &group = groups[index++];
      if (maker == makers.end())
        return success();
      GroupPart part = partsOf(group).front();
      Location loc = group.linears.front().getLoc();
      std::string ownKey = key + "-scales-" + std::to_string(index);
      std::optional<GroupResult> result;
      if (cache)
        result = cache->load(ownKey, part.format, SmallVector<int64_t>(), group.columns(), loc);
      if (!result) {
        result = findScales(part, maker->second, activations);
        if (!result)
          return failure();
        result->weights.clear();
        if (cache)
          cache->store(ownKey, *result, loc);
      }
      // Whoever makes the input is rounded with its rows scaled, by some method.
      if (!result->inverseScales.empty()) {
        qnt::LinearOp op = maker->second.op;
        if (!op->hasAttr(methodAttr))
          op->setAttr(methodAttr, StringAttr::get(op.getContext(), "rtn"));
        scaled.add(group, maker->second, result->inverseScales);
      }
      for (qnt::LinearOp linear : group.linears)
        scaled.expectInputScales(linear);
      report(progress);
      return success();
    };
    return visitGroups(*plain, samples, open, visit);
  }

  std::vector<WeightQuality> qualities;

private:
  std::optional<GroupResult> compute(GroupPart &part, ReadActivations read) {
    std::vector<std::vector<float>> matrices;
    bool isChanged = false, isScaled = scaled.hasInputScales(part.group.linears.front());
    for (qnt::LinearOp linear : part.group.linears) {
      matrices.push_back(scaled.rowsOfWeight(linear));
      isChanged |= scaled.changes(linear);
    }
    MethodGroup group(part.format, std::move(matrices), part.group.columns(), threads);
    group.setActivations(activationFormat(part.group.linears.front().getAct(), part.format,
                                          rowsOf(part.group.linears.front()), part.group.columns()),
                         part.method.alpha());
    if (part.method.needsData()) {
      const Activations *activations = read();
      if (!activations)
        return std::nullopt;
      if (llvm::Error error = group.observe(*activations, part.method.needs() == MethodRow::Covariance))
        return refuse(part, std::move(error));
    }
    for (const MethodRow *step : part.method.steps()) {
      if (step->kind == MethodRow::OfConvolutions)
        continue;
      if (step->kind == MethodRow::ScalesInput && isScaled)
        continue;
      if (step->kind == MethodRow::ScalesInput && isShared(part.group)) {
        emitRemark(part.group.linears.front().getLoc()) << "its input is not scaled: a lookup shares the matrix";
        continue;
      }
      if (!group.rounds() && !step->isForFloats)
        continue;
      if (llvm::Error error = step->apply(group))
        return refuse(part, std::move(error));
    }
    if (!group.rounds() && (isChanged || group.isScaled()))
      group.keepRows();
    return group.take();
  }

  /// The scales of one input whose maker is to take them: the program is the float one still.
  std::optional<GroupResult> findScales(GroupPart &part, const InputMaker &maker, ReadActivations read) {
    std::vector<std::vector<float>> matrices;
    for (qnt::LinearOp linear : part.group.linears)
      matrices.push_back(qcc::rowsOf(weightOf(linear)));
    MethodGroup group(part.format, std::move(matrices), part.group.columns(), threads);
    group.setTies(maker.rows);
    MethodRow::Needs needs = MethodRow::Nothing;
    for (const MethodRow *step : part.method.steps())
      if (step->kind == MethodRow::ScalesInput)
        needs = std::max(needs, step->needs);
    const Activations *activations = read();
    if (!activations)
      return std::nullopt;
    if (llvm::Error error = group.observe(*activations, needs == MethodRow::Covariance))
      return refuse(part, std::move(error));
    for (const MethodRow *step : part.method.steps())
      if (step->kind == MethodRow::ScalesInput && (group.rounds() || step->isForFloats))
        if (llvm::Error error = step->apply(group))
          return refuse(part, std::move(error));
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
  ActivationFormat activationFormat;
  llvm::function_ref<void(const MethodProgress &)> report;
  ScaledWeights scaled;
  unsigned threads;
  MethodProgress progress;
};
} // namespace

FailureOr<std::vector<WeightQuality>> qcc::applyMethods(ModuleOp module, const Samples *samples, OpenModule open,
                                                        GroupCache *cache, ActivationFormat activationFormat,
                                                        llvm::function_ref<void(const MethodProgress &)> progress) {
  Application application(cache, activationFormat, progress);
  if (cache)
    cache->start(module, samples ? *samples : Samples());
  if (samples && failed(application.scaleMadeInputs(module, *samples, open)))
    return failure();
  application.expect(linearGroups(module));
  auto visit = [&](LinearGroup &group, ReadActivations activations) {
    return application.quantize(group, activations);
  };
  if (failed(visitGroups(module, samples ? *samples : Samples(), open, visit)))
    return failure();
  return std::move(application.qualities);
}
