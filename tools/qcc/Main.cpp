// qcc: ONNX in, one deployable artifact out.
#include "DependencyFile.h"
#include "dialects/onnx/Onnx.h"
#include "dialects/qnt/Qnt.h"
#include "dialects/tile/Tile.h"
#include "mlir/Support/FileUtilities.h"
#include "qcc/Calibration/Methods.h"
#include "qcc/Calibration/Ranges.h"
#include "qcc/Export/OnnxFile.h"
#include "qcc/Format/Format.h"
#include "qcc/Pipeline/CheckStates.h"
#include "qcc/Pipeline/Plan.h"
#include "qcc/Pipeline/Quality.h"
#include "qcc/Target/Ptxas.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;
using namespace qcc;
namespace cl = llvm::cl;

static cl::OptionCategory category("qcc options");
static cl::opt<std::string> model(cl::Positional, cl::desc("MODEL.onnx"), cl::cat(category));
static cl::opt<std::string> output("o", cl::desc("Write here (default: the model's name with the extension .qcc)"),
                                   cl::value_desc("FILE"), cl::cat(category));
static cl::list<std::string> targets("target", cl::desc("Targets to generate code for (default: native)"),
                                     cl::value_desc("T[,T...]"), cl::CommaSeparated, cl::cat(category));
static cl::opt<std::string>
    recipe("recipe", cl::desc("Rules for formats, compute types and methods: a file, or the name of one that ships"),
           cl::value_desc("FILE"), cl::cat(category));
static cl::opt<std::string>
    format("fmt", cl::desc("Format of the weights of matrix multiplications; auto, or several to choose from"),
           cl::value_desc("F"), cl::init("float32"), cl::cat(category));
static cl::opt<std::string> headFormat("head-fmt",
                                       cl::desc("Format of the matrix multiplications that give the model's outputs "
                                                "(default: --fmt, or int8-g32 when that has fewer than 8 bits)"),
                                       cl::value_desc("F"), cl::cat(category));
static cl::opt<std::string> method("method",
                                   cl::desc("How the numbers of quantized weights are chosen, for example awq+gptq "
                                            "(default: rtn, rounding to nearest)"),
                                   cl::value_desc("M"), cl::init("rtn"), cl::cat(category));
static cl::opt<std::string> act(
    "act",
    cl::desc("What activations are multiplied in: auto, f32, bf16, fp8, int8, in blocks nvfp4, mxfp8, mxfp4, or with "
             "scales from data int8-static (convolutions too), fp8-static"),
    cl::value_desc("A"), cl::init("auto"), cl::cat(category));
static cl::opt<std::string> cacheFormat(
    "kv",
    cl::desc("The format that a session keeps KV caches in: float32, bfloat16, float16, fp8, int8, int4 or "
             "another one with a scale for each block of a row; two of them, separated by a comma, for keys "
             "and values (default: the model's own type)"),
    cl::value_desc("F"), cl::cat(category));
static cl::opt<std::string> ranges("ranges",
                                   cl::desc("How static scales are made of data: minmax (default), average, "
                                            "percentile, mse, entropy"),
                                   cl::value_desc("R"), cl::init("minmax"), cl::cat(category));
static cl::opt<std::string> budget("budget",
                                   cl::desc("What formats are chosen for, where --fmt is auto or a list: bits per "
                                            "weight of linear operations, bytes of all weights, or the time of linear "
                                            "operations for one token"),
                                   cl::value_desc("4.5bpw|80MB|2.5ms"), cl::cat(category));
static cl::opt<std::string>
    mostDivergence("max-kld",
                   cl::desc("The smallest formats are chosen that keep the KL divergence from the float program within "
                            "this; a program beyond it is not written"),
                   cl::value_desc("X"), cl::cat(category));
static cl::opt<std::string>
    emit("emit", cl::desc("What to write: a state's name, onnx-qdq, llvm, asm, obj, shared, ptx, cubin or artifact"),
         cl::value_desc("WHAT"), cl::init("artifact"), cl::cat(category));
static cl::opt<std::string> startAt("start-at",
                                    cl::desc("The model is a program in this state, as --emit=STATE -o FILE writes it"),
                                    cl::value_desc("STATE"), cl::cat(category));
static cl::opt<std::string> dumpStatesTo("dump-states-to", cl::desc("Write every state to this folder, to be read"),
                                         cl::value_desc("DIR"), cl::cat(category));
static cl::opt<std::string> dumpKernelsTo("dump-kernels-to",
                                          cl::desc("Write every kernel to this folder: MLIR and assembly"),
                                          cl::value_desc("DIR"), cl::cat(category));
static cl::opt<bool> keepSignature("keep-signature",
                                   cl::desc("Keep KV caches as inputs and outputs instead of states of the session"),
                                   cl::cat(category));
static cl::opt<std::string>
    checkData("check-states",
              cl::desc("Run every state of the program on this data and compare it with the state before; exit 1 and "
                       "name the first node that is off"),
              cl::value_desc("DATA.npz"), cl::cat(category));
static cl::opt<double> checkTolerance("check-tolerance",
                                      cl::desc("Relative error that --check-states allows (default: 1e-4, and 0.2 "
                                               "where activations are quantized)"),
                                      cl::value_desc("X"), cl::cat(category));
static cl::list<std::string> calibration("calib",
                                         cl::desc("Data to measure the program on: npz files of inputs; text goes "
                                                  "through python -m qcc"),
                                         cl::value_desc("FILE..."), cl::CommaSeparated, cl::cat(category));
static cl::opt<std::string>
    calibrationCache("calib-cache",
                     cl::desc("Keep what methods make of weights in this folder, and take from it what is there: an "
                              "interrupted run goes on where it was, another target costs nothing"),
                     cl::value_desc("DIR"), cl::cat(category));
static cl::opt<std::string>
    codeCache("code-cache",
              cl::desc("Keep generated code in this folder, and take from it what is there (default: the environment's "
                       "QCC_CODE_CACHE; without both, nothing is kept)"),
              cl::value_desc("DIR"), cl::cat(category));
static cl::list<std::string> failIf("fail-if",
                                    cl::desc("Write nothing and exit 1 if this holds, for example 'kld>0.03'"),
                                    cl::value_desc("EXPR"), cl::cat(category));
static cl::opt<std::string> lastLogits("last-logits",
                                       cl::desc("Compute this output (default: logits) for the last position alone, "
                                                "which is all that writing text needs"),
                                       cl::value_desc("OUTPUT"), cl::ValueOptional, cl::cat(category));
static cl::list<std::string> files("add-file",
                                   cl::desc("A further part of the artifact, for example tokenizer.bin=FILE"),
                                   cl::value_desc("NAME=FILE"), cl::cat(category));
static cl::opt<std::string>
    printPlanAs("print-plan",
                cl::desc("Print what will be done, and build nothing: formats, kernels, instructions, bytes"),
                cl::value_desc("json"), cl::ValueOptional, cl::cat(category));
static cl::list<std::string> planLengths("plan-lengths",
                                         cl::desc("Lengths for which the plan counts memory (default: 1)"),
                                         cl::value_desc("DIM=N[,DIM=N...]"), cl::CommaSeparated, cl::cat(category));
static cl::opt<std::string> planTo("plan-to",
                                   cl::desc("Write the plan to this file too, as --print-plan=json prints it"),
                                   cl::value_desc("FILE"), cl::cat(category));
static cl::opt<std::string>
    dependencyFile("depfile", cl::desc("Write a rule for make here: the output and every file it is made of"),
                   cl::value_desc("FILE"), cl::cat(category));
static cl::opt<std::string> ptxas("ptxas",
                                  cl::desc("NVIDIA's assembler, which adds compiled kernels to the PTX in the "
                                           "artifact: its path, none, or auto (default): the one in PATH or "
                                           "/usr/local/cuda/bin if there is one"),
                                  cl::value_desc("PATH"), cl::init("auto"), cl::cat(category));
static cl::opt<bool> requireNative("require-native",
                                   cl::desc("Refuse to build products that a target has no instruction for"),
                                   cl::cat(category));
static cl::opt<bool> printTargets("print-targets", cl::desc("List the targets"), cl::cat(category));
static cl::opt<bool> printFormats("print-formats", cl::desc("List the formats of weights"), cl::cat(category));
static cl::opt<bool> printMethods("print-methods", cl::desc("List the methods"), cl::cat(category));
static cl::opt<bool> printStages("print-states", cl::desc("List the states of a program"), cl::cat(category));

static constexpr llvm::StringLiteral onnxEmission = "onnx-qdq";
static constexpr int exitFailed = 1, exitUsage = 2;

static int fail(const llvm::Twine &message) {
  llvm::errs() << "qcc: error: " << message << "\n";
  return exitUsage;
}

/// Prints a diagnostic as `qcc: error: node 'NAME': message`.
static LogicalResult printDiagnostic(Diagnostic &diagnostic) {
  const char *kind = diagnostic.getSeverity() == DiagnosticSeverity::Error     ? "error"
                     : diagnostic.getSeverity() == DiagnosticSeverity::Warning ? "warning"
                                                                               : "note";
  llvm::errs() << "qcc: " << kind << ": ";
  if (auto name = dyn_cast<NameLoc>(diagnostic.getLocation()))
    llvm::errs() << "node '" << name.getName().getValue() << "': ";
  else if (auto place = dyn_cast<FileLineColLoc>(diagnostic.getLocation()); place && place.getLine() > 0)
    llvm::errs() << place.getFilename().getValue() << ":" << place.getLine() << ":" << place.getColumn() << ": ";
  llvm::errs() << diagnostic << "\n";
  for (Diagnostic &note : diagnostic.getNotes())
    llvm::errs() << "  note: " << note << "\n";
  return success();
}

/// The file of a recipe: the one named, or one that ships with the program. Empty, and reported, where there is none.
static std::string findRecipe(const std::string &name, const char *argv0) {
  if (llvm::sys::fs::exists(name))
    return name;
  static int anchor;
  llvm::SmallString<128> folder(llvm::sys::fs::getMainExecutable(argv0, &anchor));
  llvm::sys::path::remove_filename(folder);
  llvm::sys::path::append(folder, "..", "share", "qcc", "recipes");
  std::vector<std::string> known;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(folder, error), end; it != end && !error; it.increment(error)) {
    if (llvm::sys::path::extension(it->path()) != ".toml")
      continue;
    known.push_back(llvm::sys::path::stem(it->path()).str());
    if (known.back() == name)
      return it->path();
  }
  llvm::sort(known);
  fail("there is no recipe '" + name + "'; those that ship are " + llvm::join(known, ", "));
  return "";
}

static size_t stageIndex(StringRef name) {
  return llvm::find_if(allStages(), [&](const Stage &s) { return s.name == name; }) - allStages().begin();
}

/// Writes text or bytes to `path`, or to standard output; under a temporary name until it is complete.
static int writeOut(llvm::StringRef path, llvm::function_ref<llvm::Error(llvm::raw_ostream &)> body) {
  bool isFile = !path.empty() && path != "-";
  if (llvm::Error error = isFile ? llvm::writeToOutput(path, body) : body(llvm::outs()))
    return fail(llvm::toString(std::move(error)));
  return 0;
}

/// Code of a target as --emit names it; of a GPU's name that stands for several, that of the GPU itself.
static llvm::Error codeOf(const TargetCode &code, StringRef emitted, const std::string &assembler,
                          llvm::SmallVectorImpl<char> &bytes) {
  auto kind = emitted == "llvm"     ? CodeKind::LlvmIr
              : emitted == "obj"    ? CodeKind::Object
              : emitted == "shared" ? CodeKind::SharedObject
                                    : CodeKind::Assembly;
  if (!code.facts.device) {
    if (emitted == "ptx" || emitted == "cubin")
      return llvm::createStringError("--emit=" + emitted + " is for GPUs; '" + code.facts.name + "' is none");
    return generateCode(*code.module, code.facts, kind, bytes);
  }
  const DeviceFacts &device = *code.facts.device;
  if (emitted != "ptx" && emitted != "llvm" && emitted != "cubin")
    return llvm::createStringError("for a GPU there are --emit=ptx, --emit=cubin and --emit=llvm");
  if (emitted != "cubin")
    return generateDeviceCode(deviceModule(*code.module), device, kind, bytes);
  auto path = findPtxas(assembler);
  if (!path)
    return path.takeError();
  if (path->empty())
    return llvm::createStringError("--emit=cubin needs NVIDIA's assembler: --ptxas=PATH");
  auto lacks = lacksPtx(*path, device);
  if (!lacks || !lacks->empty())
    return lacks ? llvm::createStringError(*lacks) : lacks.takeError();
  llvm::SmallVector<char, 0> text;
  if (llvm::Error error = generateDeviceCode(deviceModule(*code.module), device, kind, text))
    return error;
  return assemblePtx(*path, device, text, bytes);
}

/// Measures the program where there is data, and writes it unless a gate is met; and then its plan where that has a
/// path.
static int writeArtifact(Compilation &compilation, StringRef path, StringRef planPath, ArrayRef<Gate> gates) {
  if (!compilation.options.calibration.empty() && failed(measureDivergence(compilation)))
    return exitUsage;
  llvm::json::Object plan;
  if (!planPath.empty()) {
    auto made = wholePlan(compilation);
    if (failed(made))
      return exitUsage;
    plan = std::move(*made);
  }
  bool isMet = false;
  auto meets = [&]() -> LogicalResult {
    auto met = firstGateMet(compilation, gates);
    if (!met)
      return emitError(UnknownLoc::get(&compilation.context)) << "--fail-if=" << llvm::toString(met.takeError());
    if (*met)
      emitError(UnknownLoc::get(&compilation.context)) << "'" << (*met)->text << "' holds; nothing was written";
    isMet = met->has_value();
    return failure(isMet);
  };
  if (failed(compilation.write(path, gates.empty() ? nullptr : llvm::function_ref<LogicalResult()>(meets))))
    return isMet ? exitFailed : exitUsage;
  if (planPath.empty())
    return 0;
  return writeOut(planPath, [&](llvm::raw_ostream &os) {
    os << llvm::formatv("{0:2}", llvm::json::Value(std::move(plan))) << "\n";
    return llvm::Error::success();
  });
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "qcc: a quantizing compiler for ONNX models\n");
  if (printTargets) {
    for (const TargetRow &row : allTargets())
      llvm::outs() << llvm::left_justify(row.name, 18) << row.sentence << "\n";
    return 0;
  }
  if (printFormats) {
    llvm::outs() << formatTable();
    return 0;
  }
  if (printMethods) {
    for (const MethodRow &row : allMethods())
      llvm::outs() << llvm::left_justify(row.name, 12) << row.sentence
                   << (row.needs != MethodRow::Nothing ? "; needs --calib" : "") << "\n";
    return 0;
  }
  if (printStages) {
    for (const Stage &stage : allStages())
      llvm::outs() << llvm::left_justify(stage.name, 12) << stage.sentence << "\n";
    return 0;
  }
  if (model.empty())
    return fail("no model given; try 'qcc MODEL.onnx' or 'qcc --help'");

  MLIRContext context(MLIRContext::Threading::DISABLED);
  initializeCodegen(context);
  context.loadDialect<onnx::OnnxDialect, qnt::QntDialect, tile::TileDialect>();
  ScopedDiagnosticHandler handler(&context, printDiagnostic);

  CompileOptions options;
  options.model = model;
  if (!targets.empty())
    options.targets = targets;
  if (!recipe.empty() && (options.recipe = findRecipe(recipe, argv[0])).empty())
    return exitUsage;
  options.format = format;
  options.headFormat = headFormat;
  options.act = act;
  options.cacheFormat = cacheFormat;
  if (llvm::Error error = checkRangeRule(ranges))
    return fail("--ranges=" + ranges + ": " + llvm::toString(std::move(error)));
  options.ranges = ranges;
  options.budget = budget;
  options.method = method;
  options.ptxas = ptxas;
  options.requiresNative = requireNative;
  options.plansOnly = printPlanAs.getNumOccurrences() > 0;
  options.exports = emit == onnxEmission;
  options.states = !keepSignature && !options.exports;
  if (lastLogits.getNumOccurrences())
    options.lastLogits = lastLogits.empty() ? "logits" : lastLogits.getValue();
  options.calibration = calibration;
  options.calibrationCache = calibrationCache;
  const char *known = getenv("QCC_CODE_CACHE");
  // Whoever looks at the program on its way sees it made.
  if (emit == "artifact" && checkData.empty() && dumpStatesTo.empty() && dumpKernelsTo.empty())
    options.codeCache = codeCache.empty() && known ? std::string(known) : codeCache.getValue();
  std::vector<Gate> gates;
  for (const std::string &text : failIf) {
    auto gate = Gate::parse(text);
    if (!gate)
      return fail("--fail-if: " + llvm::toString(gate.takeError()));
    gates.push_back(*gate);
  }
  if (!mostDivergence.empty()) {
    if (StringRef(mostDivergence).getAsDouble(options.mostDivergence) || !(options.mostDivergence > 0))
      return fail("--max-kld=" + mostDivergence + ": expected a number above 0");
    gates.push_back(llvm::cantFail(Gate::parse("kld>" + mostDivergence)));
  }
  if (!gates.empty())
    options.measuredSamples = SIZE_MAX;
  options.dumpStatesTo = dumpStatesTo;
  options.dumpKernelsTo = dumpKernelsTo;
  for (const std::string &file : files) {
    auto [name, source] = StringRef(file).split('=');
    if (name.empty() || source.empty())
      return fail("--add-file=" + file + ": expected NAME=FILE");
    options.files[name.str()] = source.str();
  }
  for (const std::string &text : planLengths) {
    auto [name, number] = StringRef(text).rsplit('=');
    int64_t length = 0;
    if (number.getAsInteger(10, length) || length < 0)
      return fail("--plan-lengths=" + text + ": expected DIM=N");
    options.lengths[name.str()] = length;
  }
  if (!checkData.empty()) {
    StateTolerances tolerances;
    if (checkTolerance.getNumOccurrences())
      tolerances.real = tolerances.integer = checkTolerance;
    const std::string data = checkData; // linking resets every option of the process
    auto good = checkStates(context, options, data, tolerances, llvm::outs());
    return failed(good) ? exitUsage : *good ? 0 : exitFailed;
  }
  Compilation compilation(context, options);
  const std::string start = startAt;
  if (!start.empty() && failed(readState(compilation, start)))
    return exitUsage;
  // Nothing that comes after tiling holds the weights.
  if (!compilation.code.empty() && (printPlanAs.getNumOccurrences() || emit == "artifact"))
    return fail("a program that is " + start +
                " has no weights: it can become lowered, llvm, asm, obj or shared; start at packed or before");

  if (printPlanAs.getNumOccurrences()) {
    bool isJson = printPlanAs == "json";
    if (!isJson && !printPlanAs.empty())
      return fail("--print-plan=" + printPlanAs + ": only json is known");
    // Formats and instructions are known long before there is code.
    const std::string planned = emit;
    if (planned != "artifact" && planned != "tiled")
      return fail("--print-plan is made of --emit=tiled or of the artifact");
    if (failed(runStages(compilation, start, planned)))
      return exitUsage;
    auto plan = wholePlan(compilation);
    if (failed(plan))
      return exitUsage;
    if (isJson)
      llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(*plan))) << "\n";
    else
      printPlan(llvm::outs(), *plan);
    return 0;
  }
  // Linking resets every option of the process: what is needed afterwards is copied here.
  const std::string emitted = emit, path = output, planPath = planTo, dependencies = dependencyFile;
  bool isCode = llvm::is_contained({"llvm", "asm", "obj", "shared", "ptx", "cubin"}, emitted);
  bool isModel = emitted == onnxEmission;
  std::string stage = isCode ? "lowered" : isModel ? "quantized" : emitted;
  if (llvm::none_of(allStages(), [&](const Stage &s) { return s.name == stage; }))
    return fail("unknown --emit=" + emitted +
                "; qcc --print-states lists the states, and onnx-qdq, llvm, asm, obj, shared, ptx, cubin and artifact "
                "are known "
                "too");
  if (isModel && !start.empty())
    return fail("--emit=onnx-qdq starts at the model's file");
  if (!start.empty() && stageIndex(stage) < stageIndex(start))
    return fail("--emit=" + emitted + " stands before --start-at=" + start);
  if (!dependencies.empty() && (path == "-" || (path.empty() && emitted != "artifact")))
    return fail("--depfile needs -o FILE");
  if (!planPath.empty() && emitted != "artifact")
    return fail("--plan-to needs --emit=artifact");
  auto finish = [&](int status, StringRef made) {
    if (status || dependencies.empty())
      return status;
    std::string rule = dependencyRule(made, filesOf(compilation));
    return writeOut(dependencies, [&](llvm::raw_ostream &os) {
      os << rule;
      return llvm::Error::success();
    });
  };
  if (failed(runStages(compilation, start, stage)))
    return exitUsage;
  if (emitted == "artifact") {
    llvm::SmallString<128> name(path.empty() ? compilation.options.model : path);
    if (path.empty())
      llvm::sys::path::replace_extension(name, "qcc");
    return finish(writeArtifact(compilation, name, planPath, gates), name);
  }
  if (isModel) {
    std::string bytes;
    llvm::raw_string_ostream model(bytes);
    if (failed(linearsToNodes(*compilation.module)) || failed(writeOnnx(*compilation.module, model)))
      return exitUsage;
    return finish(writeOut(path,
                           [&](llvm::raw_ostream &os) {
                             os << bytes;
                             return llvm::Error::success();
                           }),
                  path);
  }
  if (isCode) {
    if (options.targets.size() != 1)
      return fail("--emit=" + emitted + " needs exactly one target");
    llvm::SmallVector<char, 0> bytes;
    if (llvm::Error error = codeOf(compilation.code.front(), emitted, options.ptxas, bytes))
      return fail(llvm::toString(std::move(error)));
    int status = writeOut(path, [&](llvm::raw_ostream &os) {
      os.write(bytes.data(), bytes.size());
      return llvm::Error::success();
    });
    return finish(status, path);
  }
  bool isBytecode = StringRef(path).ends_with(".mlirbc");
  if (isBytecode && compilation.code.size() > 1)
    return fail("-o " + path + ": a file of bytecode holds one target");
  int status = writeOut(path, [&](llvm::raw_ostream &os) -> llvm::Error {
    if (isBytecode)
      return encodeState(compilation, os);
    // What people look at is short; a file is to be gone on from.
    printState(compilation, /*isWhole=*/!path.empty() && path != "-", os);
    return llvm::Error::success();
  });
  return finish(status, path);
}
