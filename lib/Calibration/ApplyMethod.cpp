#include "dialects/onnx/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Algorithm/Awq.h"
#include "qcc/Algorithm/Covariance.h"
#include "qcc/Algorithm/Gptq.h"
#include "qcc/Algorithm/Hqq.h"
#include "qcc/Algorithm/SignRounding.h"
#include "qcc/Algorithm/SmoothQuant.h"
#include "qcc/Algorithm/Statistics.h"
#include "qcc/Calibration/Methods.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Pack/WeightMatrix.h"
#include "llvm/Support/Threading.h"

using namespace mlir;
using namespace qcc;

static constexpr double smoothingAlpha = 0.5;  // SmoothQuant's own default (arXiv 2211.10438, section 4.1)
static constexpr int64_t searchedTokens = 128; // that an α is searched by

static bool roundsFormat(const Format &format) { return format.element->bits() < 32; }

namespace {
/// One group on its way through the steps of a method.
class GroupQuantizer {
public:
  GroupQuantizer(LinearGroup &group, const Format &format, const Method &method, const Activations *activations)
      : group(group), format(format), method(method), columns(group.columns()),
        threads(llvm::hardware_concurrency().compute_thread_count()) {
    for (qnt::LinearOp linear : group.linears) {
      auto weight = linear.getWeight().getDefiningOp<qnt::WeightOp>();
      weights.push_back(weight);
      matrices.push_back(rowsOf(weight));
    }
    if (activations)
      observe(*activations);
  }

  LogicalResult apply(const MethodRow &step) {
    if (!roundsFormat(format))
      return leaveUnrounded(step);
    if (step.name == "awq")
      return scale(searchAwqScales(format, views(), covariance.data(), meanAbsolute, awqOptions()));
    if (step.name == "smoothquant")
      return scale(smoothing());
    std::shared_ptr<HessianFactor> factor;
    if (step.name == "gptq") {
      HessianOptions options;
      options.activationOrder = true;
      options.threads = threads;
      auto made = HessianFactor::create(covariance.data(), columns, options);
      if (!made)
        return refuse(made.reason());
      factor = std::make_shared<HessianFactor>(std::move(*made));
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      auto encoded = round(step, view(i), factor.get());
      if (!encoded)
        return refuse(encoded.reason());
      qualities.push_back({weights[i].getResult(), signalToNoise(format, matrices[i], *encoded)});
      setEncoded(weights[i], format, *encoded);
    }
    return success();
  }

  std::vector<WeightQuality> qualities;

private:
  /// See `Method::changes`.
  LogicalResult leaveUnrounded(const MethodRow &step) {
    if (step.name == "smoothquant")
      return scale(smoothing());
    if (step.rounds && isScaled)
      for (size_t i = 0; i < weights.size(); ++i)
        setRows(weights[i], matrices[i]);
    return success();
  }

  MatrixView view(size_t i) const { return MatrixView(matrices[i], int64_t(matrices[i].size()) / columns, columns); }
  std::vector<MatrixView> views() const {
    std::vector<MatrixView> all;
    for (size_t i = 0; i < matrices.size(); ++i)
      all.push_back(view(i));
    return all;
  }

  void observe(const Activations &activations) {
    Covariance sum(columns, threads);
    Moments moments(columns);
    for (size_t sample = 0; sample < activations.samples(); ++sample) {
      sum.add(activations[sample]);
      moments.add(activations[sample]);
    }
    covariance = sum.matrix();
    meanAbsolute = moments.meanAbsolute();
    maxAbsolute = moments.maxAbsolute();
    if (method.has("smoothquant"))
      takeTokens(activations);
  }

  /// Some tokens, evenly spread.
  void takeTokens(const Activations &activations) {
    int64_t all = 0, passed = 0;
    for (size_t sample = 0; sample < activations.samples(); ++sample)
      all += activations[sample].rows;
    int64_t step = std::max<int64_t>(1, all / searchedTokens);
    for (size_t sample = 0; sample < activations.samples(); ++sample) {
      MatrixView view = activations[sample];
      for (int64_t row = 0; row < view.rows; ++row)
        if (passed++ % step == 0)
          tokens.insert(tokens.end(), view.row(row), view.row(row) + columns);
    }
  }

  AwqOptions awqOptions() const {
    AwqOptions options;
    options.threads = threads;
    return options;
  }

  /// What activations are rounded to by the group's compute type; nothing where they are not.
  std::optional<Format> activationFormat() const {
    StringRef act = qnt::LinearOp(group.linears.front()).getAct();
    if (act == "f32")
      return std::nullopt;
    int64_t block = PackedLayout::of(format, view(0).rows, columns).block;
    std::string name = act == "fp8-static"    ? "fp8-tensor"
                       : act == "int8-static" ? "int8-tensor"
                       : block < columns      ? "int8-g" + std::to_string(block)
                                              : "int8";
    auto found = findFormat(name);
    if (found)
      return *found;
    llvm::consumeError(found.takeError());
    return llvm::cantFail(findFormat("int8"));
  }

  Result<InputScales> smoothing() const {
    auto activation = activationFormat();
    if (!method.alpha() && roundsFormat(format) && activation) {
      SmoothingOptions options;
      options.threads = threads;
      MatrixView samples(tokens, int64_t(tokens.size()) / columns, columns);
      return searchSmoothing(format, *activation, views(), samples, maxAbsolute, options);
    }
    InputScales result;
    result.alpha = method.alpha().value_or(smoothingAlpha);
    result.scales = smoothingScales(maxAbsolute, maxByColumn(views()), result.alpha);
    return result;
  }

  Result<EncodedMatrix> round(const MethodRow &step, MatrixView matrix, const HessianFactor *factor) const {
    if (step.name == "gptq") {
      GptqOptions options;
      options.clip = ScaleSearch();
      options.threads = threads;
      auto result = gptq(format, matrix, *factor, options);
      return result ? Result<EncodedMatrix>(std::move(result->encoded))
                    : Result<EncodedMatrix>(Refusal{result.reason()});
    }
    if (step.name == "signround") {
      SignRoundingOptions options;
      options.threads = threads;
      auto result = signRounding(format, matrix, covariance.data(), nearestScales(format, matrix), options);
      return result ? Result<EncodedMatrix>(std::move(result->encoded))
                    : Result<EncodedMatrix>(Refusal{result.reason()});
    }
    if (step.name == "hqq") {
      HqqOptions options;
      options.threads = threads;
      auto scales = hqq(format, matrix, options);
      return scales ? Result<EncodedMatrix>(encodeWithScales(format, matrix, *scales))
                    : Result<EncodedMatrix>(Refusal{scales.reason()});
    }
    if (step.name == "importance") {
      std::vector<double> squares(columns);
      for (int64_t column = 0; column < columns; ++column)
        squares[column] = covariance[column * (columns + 1)];
      return encodeWithScales(format, matrix, searchScales(format, matrix, squares.data(), ScaleSearch(), threads));
    }
    return format.encode(llvm::ArrayRef(matrix.data, matrix.size()), matrix.rows, matrix.columns);
  }

  /// Multiplies the weights by the scales, and divides what they read.
  LogicalResult scale(const Result<InputScales> &found) {
    if (!found)
      return refuse(found.reason());
    const std::vector<float> &s = found->scales;
    // A matrix that a lookup shares cannot be scaled for its products alone.
    bool isShared = llvm::any_of(weights, [](qnt::WeightOp weight) { return !weight->hasOneUse(); });
    if (isShared)
      emitRemark(group.linears.front().getLoc()) << "its input is not scaled: a lookup shares the matrix";
    if (isShared || llvm::all_of(s, [](float value) { return value == 1; }))
      return success();
    for (std::vector<float> &matrix : matrices)
      for (size_t i = 0; i < matrix.size(); ++i)
        matrix[i] *= s[i % columns];
    for (int64_t i = 0; i < columns; ++i) {
      meanAbsolute[i] /= s[i], maxAbsolute[i] /= s[i];
      for (int64_t j = 0; j < columns; ++j)
        covariance[i * columns + j] /= double(s[i]) * s[j];
    }
    std::vector<float> inverse;
    for (float value : s)
      inverse.push_back(1 / value);
    divideInput(inverse);
    isScaled = true;
    return success();
  }

  void divideInput(ArrayRef<float> inverse) {
    qnt::LinearOp first = group.linears.front();
    OpBuilder b(first);
    ArrayRef<char> bytes(reinterpret_cast<const char *>(inverse.data()), inverse.size() * sizeof(float));
    std::string name = weights.front().getName().str() + ".input_scale";
    ElementsAttr data = DenseResourceElementsAttr::get(RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type()),
                                                       name, HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64));
    Value scale =
        onnx::WeightOp::create(b, first.getLoc(), RankedTensorType::get({columns}, b.getF32Type()), name, data);
    Value x = first.getX();
    auto product = onnx::NodeOp::create(b, first.getLoc(), TypeRange{x.getType()}, b.getStringAttr("Mul"),
                                        b.getStringAttr(""), b.getI64IntegerAttr(14), b.getDictionaryAttr({}),
                                        DictionaryAttr(), DenseI64ArrayAttr(), mlir::ValueRange{x, scale}, 0);
    product->setAttr(inputScaleAttr, b.getUnitAttr());
    for (qnt::LinearOp linear : group.linears)
      linear.getXMutable().assign(product->getResult(0));
  }

  LogicalResult refuse(const std::string &reason) const {
    return emitError(group.linears.front().getLoc()) << "cannot be quantized so: " << reason;
  }

  LinearGroup &group;
  const Format &format;
  const Method &method;
  int64_t columns;
  unsigned threads;
  std::vector<qnt::WeightOp> weights;
  std::vector<std::vector<float>> matrices;
  std::vector<double> covariance, meanAbsolute;
  std::vector<float> maxAbsolute, tokens;
  bool isScaled = false;
};
} // namespace

namespace {
/// Operations of a group that are quantized in the same way.
struct GroupPart {
  Format format;
  std::string method;
  LinearGroup group;
};
} // namespace

static std::string methodOf(qnt::LinearOp linear) {
  auto method = linear->getAttrOfType<StringAttr>(methodAttr);
  return method && method != keptMethod ? method.str() : "";
}

/// The group's operations that have a method, by format and method; those whose weights are encoded already are left
/// out.
static std::vector<GroupPart> partsOf(const LinearGroup &group) {
  std::vector<GroupPart> parts;
  for (qnt::LinearOp linear : group.linears) {
    auto weight = linear.getWeight().getDefiningOp<qnt::WeightOp>();
    Format format = llvm::cantFail(findFormat(weight.getFormat())); // chosen already
    std::string method = methodOf(linear);
    if (weight.getOrder() == "encoded" || method.empty())
      continue;
    auto part =
        llvm::find_if(parts, [&](const GroupPart &p) { return p.format.name == format.name && p.method == method; });
    if (part == parts.end())
      part = parts.insert(parts.end(), {format, method, {group.x, {}}});
    part->group.linears.push_back(linear);
  }
  return parts;
}

std::optional<Method> qcc::methodThatNeedsData(ModuleOp module) {
  for (const LinearGroup &group : linearGroups(module))
    for (GroupPart &part : partsOf(group))
      if (Method method = llvm::cantFail(Method::parse(part.method)); method.needsData())
        return method;
  return std::nullopt;
}

FailureOr<std::vector<WeightQuality>> qcc::applyMethods(ModuleOp module, const Samples *samples, OpenModule open,
                                                        llvm::function_ref<void(size_t, size_t)> progress) {
  std::vector<WeightQuality> qualities;
  size_t all = linearGroups(module).size(), done = 0;
  auto quantize = [&](LinearGroup &group, const Activations *activations) -> LogicalResult {
    for (GroupPart &part : partsOf(group)) {
      Method method = llvm::cantFail(Method::parse(part.method)); // chosen already
      GroupQuantizer quantizer(part.group, part.format, method, method.needsData() ? activations : nullptr);
      for (const MethodRow *step : method.steps())
        if (failed(quantizer.apply(*step)))
          return failure();
      llvm::append_range(qualities, quantizer.qualities);
    }
    progress(++done, all);
    return success();
  };
  if (methodThatNeedsData(module)) {
    auto visit = [&](LinearGroup &group, const Activations &activations) { return quantize(group, &activations); };
    if (failed(visitGroups(module, *samples, open, visit)))
      return failure();
    return qualities;
  }
  for (LinearGroup &group : linearGroups(module))
    if (failed(quantize(group, nullptr)))
      return failure();
  return qualities;
}
