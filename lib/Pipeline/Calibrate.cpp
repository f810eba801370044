#include "Calibrate.h"
#include "ApplyRecipe.h"
#include "HostedProgram.h"
#include "qcc/Calibration/CachedKeys.h"
#include "qcc/Calibration/EqualizeConvolutions.h"
#include "qcc/Calibration/Ranges.h"
#include "qcc/Calibration/StaticConvolutions.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Pipeline/HostRun.h"
#include "qcc/Target/CodeProduct.h"
#include "qcc/Target/Codegen.h"
#include "qcc/Tile/StateStorage.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace qcc;

static Format formatNamed(StringRef name) { return llvm::cantFail(findFormat(name)); }

/// What is seen of values on the data. A plan needs no more than that there are ranges.
static FailureOr<std::vector<ObservedRange>> observe(Compilation &c, ArrayRef<WantedRange> wanted) {
  std::vector<ObservedRange> observed(wanted.size(), ObservedRange{{-1, 1}, {}, {}, {}});
  if (c.options.plansOnly || wanted.empty())
    return observed;
  if (c.options.calibration.empty())
    return emitError(UnknownLoc::get(&c.context)) << "static scales need data: give --calib=FILE";
  Samples samples;
  if (failed(readSamples(c, samples)))
    return failure();
  CodeCache cache(c.options.codeCache);
  auto open = [&](OwningOpRef<ModuleOp> module) { return openModule(c, cache, std::move(module)); };
  return observeRanges(*c.module, wanted, samples, open, c.options.ranges);
}

/// The same, kept at the values.
static FailureOr<std::vector<ObservedRange>> setRanges(Compilation &c, ArrayRef<WantedRange> wanted) {
  auto observed = observe(c, wanted);
  if (succeeded(observed))
    for (auto [want, seen] : llvm::zip(wanted, *observed))
      setRange(want.value, seen.range);
  return observed;
}

static WantedRange wantedBy(qnt::LinearOp linear, StringRef act) {
  return {linear.getX(), formatNamed(act == staticFp8 ? "fp8-tensor" : "int8-tensor")};
}

static WantedRange wantedBy(onnx::NodeOp convolution, bool wantsChannels) {
  return {convolution->getOperand(0), formatNamed("int8-g32-asym"), wantsChannels};
}

/// Moves scales from convolutions into those that follow, as methods say.
static LogicalResult scaleConvolutions(Compilation &c, ArrayRef<ConvolutionChoice> choices) {
  SmallVector<ConvolutionPair> equalized, smoothed;
  SmallVector<std::optional<double>> alphas;
  for (const ConvolutionPair &pair : convolutionPairs(*c.module)) {
    auto choice = llvm::find_if(choices, [&](const ConvolutionChoice &other) { return other.op == pair.second; });
    if (choice->method.has("equalization"))
      equalized.push_back(pair);
    if (choice->isInt8 && choice->method.has("smoothquant"))
      smoothed.push_back(pair), alphas.push_back(choice->method.alpha());
  }
  equalizePairs(equalized);
  std::vector<WantedRange> wanted;
  for (const ConvolutionPair &pair : smoothed)
    wanted.push_back(wantedBy(pair.second, true));
  auto observed = observe(c, wanted);
  if (failed(observed))
    return failure();
  // A scale between two leaves what others read as it was.
  for (auto [pair, seen, alpha] : llvm::zip(smoothed, *observed, alphas))
    scaleBetween(pair, smoothingOf(pair, seen.most, alpha));
  return success();
}

LogicalResult qcc::calibrate(Compilation &c) {
  if (!asksForCalibration(c))
    return success();
  FailureOr<CalibrationChoices> choices = chooseCalibration(c);
  if (failed(choices) || (!c.options.plansOnly && failed(scaleConvolutions(c, choices->convolutions))))
    return failure();
  std::vector<WantedRange> wanted;
  llvm::DenseMap<Value, size_t> places;
  auto want = [&](WantedRange range) {
    auto [it, isNew] = places.try_emplace(range.value, wanted.size());
    if (isNew)
      wanted.push_back(range);
    else
      wanted[it->second].wantsChannels |= range.wantsChannels;
  };
  auto corrects = [](const ConvolutionChoice &choice) { return choice.method.has("bias-correction"); };
  for (const ConvolutionChoice &choice : choices->convolutions)
    if (choice.isInt8)
      want(wantedBy(choice.op, corrects(choice)));
  for (auto [linear, act] : choices->linears)
    want(wantedBy(linear, act));
  auto observed = setRanges(c, wanted);
  if (failed(observed))
    return failure();
  Builder b(&c.context);
  for (const ConvolutionChoice &choice : choices->convolutions) {
    onnx::NodeOp op = choice.op;
    if (!choice.isInt8)
      continue;
    op->setAttr(actAttr, b.getStringAttr(staticInt8));
    if (corrects(choice))
      op->setAttr(meansAttr, b.getDenseF64ArrayAttr((*observed)[places[op->getOperand(0)]].means));
  }
  return success();
}

static bool isStatic(qnt::LinearOp linear) { return linear.getAct() == staticInt8 || linear.getAct() == staticFp8; }

/// Rounds what linear operations read to 8-bit floats of one scale.
static void roundToFloat8(Compilation &c, Value x, float scale, ArrayRef<qnt::LinearOp> readers) {
  qnt::LinearOp first = readers.front();
  OpBuilder b(first);
  Location loc = first.getLoc();
  auto type = cast<RankedTensorType>(x.getType());
  auto bytes = RankedTensorType::get({sizeof(float)}, b.getI8Type());
  Value scales =
      onnx::WeightOp::create(b, loc, RankedTensorType::get({}, b.getF32Type()), "scale",
                             DenseElementsAttr::getFromRawBuffer(
                                 bytes, ArrayRef<char>(reinterpret_cast<const char *>(&scale), sizeof(float))));
  constexpr int64_t float8e4m3fn = 17; // of onnx.TensorProto.DataType
  auto node = [&](StringRef name, mlir::ValueRange operands, ArrayRef<NamedAttribute> attrs, Type element) {
    return onnx::NodeOp::create(b, loc, TypeRange{RankedTensorType::get(type.getShape(), element, type.getEncoding())},
                                b.getStringAttr(name), b.getStringAttr(""), b.getI64IntegerAttr(21),
                                b.getDictionaryAttr(attrs), DictionaryAttr(), DenseI64ArrayAttr(), operands, 0)
        ->getResult(0);
  };
  Value codes = node("QuantizeLinear", {x, scales}, b.getNamedAttr("output_dtype", b.getI64IntegerAttr(float8e4m3fn)),
                     Float8E4M3FNType::get(&c.context));
  Value rounded = node("DequantizeLinear", {codes, scales}, {}, b.getF32Type());
  for (qnt::LinearOp linear : readers)
    linear.getXMutable().assign(rounded);
}

static LogicalResult scaleLinears(Compilation &c) {
  SmallVector<qnt::LinearOp> linears;
  bool isScaled = false; // methods that scale inputs have changed their ranges
  c.module->walk([&](qnt::LinearOp linear) {
    if (!isStatic(linear))
      return;
    linears.push_back(linear);
    if (auto name = linear->getAttrOfType<StringAttr>(methodAttr); name && name != keptMethod)
      isScaled |= llvm::any_of(llvm::cantFail(Method::parse(name)).steps(),
                               [](const MethodRow *row) { return row->kind == MethodRow::ScalesInput; });
  });
  if (isScaled) {
    std::vector<WantedRange> wanted;
    llvm::SetVector<Value> seen;
    for (qnt::LinearOp linear : linears)
      if (seen.insert(linear.getX()))
        wanted.push_back(wantedBy(linear, linear.getAct()));
    if (failed(setRanges(c, wanted)))
      return failure();
  }
  llvm::MapVector<Value, SmallVector<qnt::LinearOp>> inFloat8;
  Builder b(&c.context);
  for (qnt::LinearOp linear : linears) {
    auto range = rangeOf(linear.getX());
    if (!range)
      return linear.emitError("is to be multiplied with a static scale, but its input has no range: the program has to "
                              "be calibrated on data");
    if (linear.getAct() == staticFp8) {
      inFloat8[linear.getX()].push_back(linear);
      continue;
    }
    float scale = range->amax() / 127;
    linear.setScaleAttr(b.getF32FloatAttr(scale >= std::numeric_limits<float>::min() ? scale : 1));
  }
  for (auto &[x, readers] : inFloat8) {
    float scale = rangeOf(x)->amax() / 448; // the largest number of e4m3
    roundToFloat8(c, x, scale >= std::numeric_limits<float>::min() ? scale : 1, readers);
  }
  return success();
}

void qcc::raiseCodes(Compilation &c) {
  for (const std::string &name : c.options.targets) {
    auto facts = findTarget(name);
    if (!facts) // reported where code is made
      return llvm::consumeError(facts.takeError());
    if (!multipliesCodes(*facts))
      return;
  }
  raiseCodeConv(*c.module);
}

LogicalResult qcc::applyStaticScales(Compilation &c) {
  if (failed(scaleLinears(c)))
    return failure();
  auto qualities = quantizeConvolutions(*c.module);
  if (failed(qualities))
    return failure();
  for (const WeightQuality &quality : *qualities)
    c.quality[quality.weight] = quality.signalToNoise;
  auto main = c.module->lookupSymbol<func::FuncOp>("main");
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    main.removeArgAttr(i, rangesAttr);
  main.walk([](Operation *op) { op->removeAttr(rangesAttr); });
  if (!qualities->empty() && !c.options.exports) {
    multiplyCodes(*c.module);
    raiseCodes(c);
  }
  if (!c.options.raises || constantConvolutions(*c.module).empty())
    return success();
  raiseWinograd(*c.module);
  return foldConstants(c);
}

LogicalResult qcc::storeCaches(Compilation &c) {
  auto said = cacheFormat(c);
  if (failed(said))
    return failure();
  if (said->first.empty())
    return success();
  std::vector<CachedKeys> all;
  std::vector<WantedRange> wanted;
  if (failed(storeCaches(*c.module, said->first, said->second)))
    return failure();
  for (const CachedKeys &keys : cachedKeys(*c.module)) {
    wanted.push_back({keys.keys(), formatNamed("int8"), false, true});
    all.push_back(keys);
  }
  if (c.options.calibration.empty()) {
    for (const CachedKeys &keys : all)
      if (keys.bits < 8)
        rotateKeys(keys);
    return success();
  }
  if (c.options.plansOnly || all.empty())
    return success();
  // Keys are seen as the model makes them, from caches in its own type.
  auto main = c.module->lookupSymbol<func::FuncOp>("main");
  std::vector<Attribute> formats;
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    formats.push_back(main.removeArgAttr(i, stateFormatAttr));
  auto observed = observe(c, wanted);
  for (auto [i, format] : llvm::enumerate(formats))
    if (format)
      main.setArgAttr(unsigned(i), stateFormatAttr, format);
  if (failed(observed))
    return failure();
  for (auto [keys, seen] : llvm::zip(all, *observed))
    balanceKeys(keys, seen.heads);
  return success();
}
