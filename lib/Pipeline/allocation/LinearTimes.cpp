#include "LinearTimes.h"
#include "../RunMethod.h"
#include "Sensitivity.h"
#include "dialects/onnx/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Target/Codegen.h"
#include "qcc/Target/Linear.h"
#include <chrono>
#include <cmath>
#include <unistd.h>

using namespace mlir;
using namespace qcc;

static qnt::WeightOp weightOf(const LinearChoice &choice) {
  return qnt::LinearOp(choice.op).getWeight().getDefiningOp<qnt::WeightOp>();
}

/// Bytes a nanosecond, of memory, that a usual machine of a target reads: what NVIDIA states for T4, A100, A10, L40S,
/// H100, B200, B300 and RTX 5090; two channels of memory for processors.
static double bandwidthOf(StringRef target) {
  static const std::pair<StringRef, double> devices[] = {{"sm_75", 320},   {"sm_80", 1555}, {"sm_86", 600},
                                                         {"sm_89", 864},   {"sm_90", 3350}, {"sm_100", 8000},
                                                         {"sm_103", 8000}, {"sm_120", 1792}};
  for (auto [name, bandwidth] : devices)
    if (target.starts_with(name))
      return bandwidth;
  constexpr double processor = 40;
  return processor;
}

LinearTimes::LinearTimes(Compilation &c, ArrayRef<LinearChoice> choices)
    : c(c), measures(llvm::all_of(c.options.targets, [](const std::string &name) { return name == "native"; })) {
  if (!measures) {
    bytesPerNanosecond = bandwidthOf(c.options.targets.front());
    return;
  }
  // At half a byte for each weight: too many for the last cache or not.
  int64_t bytes = 0;
  for (const LinearChoice &choice : choices)
    bytes += cast<RankedTensorType>(weightOf(choice).getResult().getType()).getNumElements() / 2;
  constexpr int64_t usual = int64_t(32) << 20;
  int64_t lastCache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  lastCache = lastCache > 0 ? lastCache : usual;
  if (bytes > lastCache / 2)
    others.resize(size_t(2 * lastCache));
}

void LinearTimes::readOthers() {
  constexpr size_t line = 64;
  for (size_t i = 0; i < others.size(); i += line)
    others[i] = char(others[i] + 1);
}

/// A program that multiplies one token by copies of a weight, which stand apart from each other; by none: that negates
/// it.
static OwningOpRef<ModuleOp> programOf(Compilation &c, const LinearChoice &choice, const Format &format, StringRef act,
                                       int64_t copies) {
  qnt::LinearOp linear = choice.op;
  auto type = cast<RankedTensorType>(linear.getWeight().getType());
  Location loc = linear.getLoc();
  OpBuilder b(&c.context);
  auto token = RankedTensorType::get({1, type.getDimSize(1)}, b.getF32Type());
  auto row = RankedTensorType::get({1, type.getDimSize(0)}, b.getF32Type());
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  module.get()->setAttrs(c.module.get()->getAttrDictionary());
  b.setInsertionPointToEnd(module->getBody());
  SmallVector<Type> results(copies ? size_t(copies) : 1, Type(copies ? row : token));
  auto function = func::FuncOp::create(b, loc, "main", b.getFunctionType({token}, results));
  auto name = [&](const llvm::Twine &text) { return b.getStringAttr(text); };
  function.setArgAttr(0, "onnx.name", name("x"));
  for (unsigned i = 0; i < results.size(); ++i)
    function.setResultAttr(i, "onnx.name", name("y" + llvm::Twine(i)));
  Block *body = function.addEntryBlock();
  b.setInsertionPointToStart(body);
  SmallVector<Value> values;
  for (int64_t i = 0; i < copies; ++i) {
    auto weight = cast<qnt::WeightOp>(b.clone(*weightOf(choice)));
    weight.setName((weight.getName() + "." + llvm::Twine(i)).str());
    weight.setFormat(format.name);
    values.push_back(qnt::LinearOp::create(b, loc, row, body->getArgument(0), weight.getResult(), act, FloatAttr()));
  }
  if (!copies)
    values.push_back(onnx::NodeOp::create(b, loc, TypeRange{token}, name("Neg"), name(""), b.getI64IntegerAttr(13),
                                          b.getDictionaryAttr({}), DictionaryAttr(), DenseI64ArrayAttr(),
                                          mlir::ValueRange{body->getArgument(0)}, 0)
                         ->getResult(0));
  func::ReturnOp::create(b, loc, values);
  return module;
}

/// The least of many runs, in nanoseconds.
FailureOr<double> LinearTimes::timeOf(OwningOpRef<ModuleOp> module, int64_t columns) {
  Location loc = module->getLoc();
  auto program = openModule(c, cache, std::move(module));
  if (!program)
    return emitError(loc) << "its time cannot be measured: " << llvm::toString(program.takeError());
  NpzArray token{"x", DataType::F32, {1, columns}, std::vector<uint8_t>(size_t(columns) * sizeof(float))};
  auto *numbers = reinterpret_cast<float *>(token.bytes.data());
  for (int64_t i = 0; i < columns; ++i)
    numbers[i] = std::sin(float(i));
  // Others may be at work on this machine: the shorter a run, the more of them.
  constexpr int leastRuns = 15, mostRuns = 1000;
  constexpr double enough = 5e7;
  double least = INFINITY, sum = 0;
  for (int run = 0; run < leastRuns || (run < mostRuns && sum < enough); ++run) {
    readOthers();
    std::vector<TensorHandle> results;
    std::string error;
    std::vector<qcc1_input> inputs(1);
    DLTensor view = viewOf(token);
    inputs[0].name = "x", inputs[0].tensor = &view;
    auto begin = std::chrono::steady_clock::now();
    if (!(*program)->run(inputs, {}, results, error))
      return emitError(loc) << "its time cannot be measured: " << error;
    double time = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
    least = std::min(least, time), sum += time;
  }
  return least;
}

FailureOr<double> LinearTimes::measure(const LinearChoice &choice, const Format &format, StringRef act) {
  // As many weights as a run's own start and end do not count beside.
  constexpr int64_t wanted = int64_t(2) << 20, most = 12;
  int64_t copies = std::clamp<int64_t>(wanted / std::max<int64_t>(1, bytesOf(choice, format)), 1, most);
  auto type = cast<RankedTensorType>(weightOf(choice).getResult().getType());
  if (empty < 0) {
    auto time = timeOf(programOf(c, choice, format, act, 0), type.getDimSize(1));
    if (failed(time))
      return failure();
    empty = *time;
  }
  auto time = timeOf(programOf(c, choice, format, act, copies), type.getDimSize(1));
  if (failed(time))
    return failure();
  return std::max(*time - empty, 1.0) / double(copies);
}

FailureOr<int64_t> LinearTimes::nanosecondsOf(const LinearChoice &choice, const Format &format) {
  if (!measures)
    return int64_t(std::ceil(double(bytesOf(choice, format)) / bytesPerNanosecond));
  auto act = chooseComputeType(format, choice.act, /*onGpus=*/false);
  if (!act)
    return emitError(choice.actLoc) << llvm::toString(act.takeError());
  auto type = cast<RankedTensorType>(weightOf(choice).getResult().getType());
  std::string asked = "nanoseconds of a token: " + std::to_string(type.getDimSize(0)) + " x " +
                      std::to_string(type.getDimSize(1)) + " " + format.name + " " + act->str() +
                      (others.empty() ? " from caches" : " from memory");
  if (auto it = known.find(asked); it != known.end())
    return it->second;
  if (!kept && failed(openCache(c, kept.emplace())))
    return failure();
  std::string key = *kept ? (*kept)->keyOf(asked) : "";
  if (*kept)
    if (auto numbers = (*kept)->loadNumbers(key, 1))
      return known[asked] = int64_t((*numbers)[0]);
  auto time = measure(choice, format, *act);
  if (failed(time))
    return failure();
  if (*kept)
    (*kept)->storeNumbers(key, {std::ceil(*time)}, qnt::LinearOp(choice.op).getLoc());
  return known[asked] = int64_t(std::ceil(*time));
}
