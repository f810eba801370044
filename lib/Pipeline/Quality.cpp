#include "qcc/Pipeline/Quality.h"
#include "HostedProgram.h"
#include "qcc/Pipeline/Plan.h"
#include "qcc/Program/Samples.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

static LogicalResult report(Compilation &c, const llvm::Twine &message) {
  return emitError(UnknownLoc::get(&c.context)) << message;
}

LogicalResult qcc::measureDivergence(Compilation &c) {
  CompileOptions options = c.options;
  options.recipe.clear(), options.format = "float32", options.headFormat.clear(), options.act = "f32",
                          options.method = "rtn";
  options.cacheFormat.clear(), options.budget.clear(), options.mostDivergence = 0;
  options.dumpStatesTo.clear(), options.dumpKernelsTo.clear(), options.files.clear();
  auto openFloat = [&]() -> llvm::Expected<std::unique_ptr<Program>> {
    Compilation reference(c.context, options);
    if (failed(runStages(reference, "", "artifact")))
      return llvm::createStringError("the float program does not compile");
    return openProgram(reference);
  };
  auto expected = openFloat(), actual = openProgram(c);
  if (!expected || !actual) {
    std::string why = llvm::toString(llvm::joinErrors(expected.takeError(), actual.takeError()));
    return report(c, "the program's quality cannot be measured: " + why);
  }
  c.releaseMemory();
  Samples samples;
  std::string error;
  if (!Samples::read(c.options.calibration, (*actual)->manifest(), samples, error))
    return report(c, error);
  std::vector<std::string> outputs;
  for (const Manifest::Value &output : (*actual)->manifest().outputs)
    outputs.push_back(output.name);
  Divergence divergence;
  for (size_t i = 0; i < std::min(samples.size(), c.options.measuredSamples); ++i) {
    std::vector<NpzArray> inputs = samples[i];
    auto b = runProgram(**expected, inputs, outputs), a = runProgram(**actual, inputs, outputs);
    if (!a || !b)
      return report(c,
                    "sample " + llvm::Twine(i) + ": " + llvm::toString(llvm::joinErrors(a.takeError(), b.takeError())));
    if (!divergence.add(*b, *a, error))
      return report(c, error);
  }
  c.divergence = std::move(divergence);
  return success();
}

llvm::Expected<Gate> Gate::parse(StringRef text) {
  static const std::pair<StringRef, Relation> relations[] = {{"<=", Relation::AtMost},
                                                             {">=", Relation::AtLeast},
                                                             {"==", Relation::Equal},
                                                             {"<", Relation::Less},
                                                             {">", Relation::Greater}};
  size_t at = text.find_first_of("<>=");
  if (at != StringRef::npos)
    for (auto [spelling, relation] : relations) {
      StringRef rest = text.drop_front(at);
      double bound = 0;
      if (!rest.consume_front(spelling))
        continue;
      if (!text.take_front(at).trim().empty() && !rest.trim().getAsDouble(bound))
        return Gate{text.str(), text.take_front(at).trim().str(), relation, bound};
      break;
    }
  return llvm::createStringError("'" + text + "' is no condition like 'kld>0.03'");
}

bool Gate::holds(double value) const {
  if (std::isnan(value))
    return true;
  switch (relation) {
  case Relation::Less:
    return value < bound;
  case Relation::AtMost:
    return value <= bound;
  case Relation::Greater:
    return value > bound;
  case Relation::AtLeast:
    return value >= bound;
  case Relation::Equal:
    return value == bound;
  }
  llvm_unreachable("all relations are there");
}

/// Every figure of the program, by its name.
static FailureOr<std::map<std::string, double>> figuresOf(Compilation &c) {
  std::map<std::string, double> figures;
  FailureOr<int64_t> bytes = c.artifactBytes();
  if (failed(bytes))
    return failure();
  figures["bytes"] = double(*bytes);
  double bits = 0, weights = 0;
  llvm::json::Object plan = planOf(c);
  for (const llvm::json::Value &row : *plan.getArray("linears")) {
    const llvm::json::Object &linear = *row.getAsObject();
    bits += 8 * double(*linear.getInteger("bytes"));
    weights += double(*linear.getInteger("outputs")) * double(*linear.getInteger("inputs"));
  }
  if (weights > 0)
    figures["bits"] = bits / weights;
  for (auto [i, weight] : llvm::enumerate(c.weightOrder))
    if (auto known = c.quality.find(weight); known != c.quality.end()) {
      figures["tensors." + c.manifest.tensors[i].name] = known->second;
      auto [lowest, isNew] = figures.try_emplace("sqnr", known->second);
      lowest->second = std::min(lowest->second, known->second);
    }
  if (c.divergence) {
    figures["kld"] = c.divergence->kld();
    figures["top1"] = c.divergence->top1();
    for (const auto &[name, error] : c.divergence->relativeErrors())
      figures["outputs." + name] = error;
  }
  return figures;
}

llvm::Expected<std::optional<Gate>> qcc::firstGateMet(Compilation &c, ArrayRef<Gate> gates) {
  FailureOr<std::map<std::string, double>> figures = figuresOf(c);
  if (failed(figures))
    return llvm::createStringError("the program's figures cannot be told");
  for (const Gate &gate : gates) {
    auto figure = figures->find(gate.figure);
    if (figure == figures->end()) {
      std::string known;
      for (const auto &[name, value] : *figures)
        if (!StringRef(name).contains('.'))
          known += (known.empty() ? "" : ", ") + name;
      return llvm::createStringError("'" + gate.text + "': there is no figure '" + gate.figure + "'; there are " +
                                     known + (c.divergence ? "" : "; kld, top1 and outputs.NAME need --calib=DATA"));
    }
    if (gate.holds(figure->second))
      return gate;
  }
  return std::nullopt;
}
