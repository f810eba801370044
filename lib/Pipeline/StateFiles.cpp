#include "StateFiles.h"
#include "PlaceWeights.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t longestText = 64; // hexadecimal digits of a weight that people still want to read

static constexpr StringLiteral kernelPrefix = "kernel_";

static LogicalResult writeFile(MLIRContext &context, StringRef path,
                               llvm::function_ref<void(llvm::raw_ostream &)> body) {
  std::error_code failure = llvm::sys::fs::create_directories(llvm::sys::path::parent_path(path));
  if (!failure) {
    llvm::raw_fd_ostream os(path, failure);
    if (!failure) {
      body(os);
      os.close();
      failure = os.error();
      os.clear_error();
    }
  }
  if (failure)
    return emitError(UnknownLoc::get(&context)) << "cannot write '" << path << "': " << failure.message();
  return success();
}

static bool isPerTarget(const Stage &stage) { return stage.name == "tiled" || stage.name == "lowered"; }

void qcc::printState(const Compilation &c, bool isWhole, llvm::raw_ostream &os) {
  OpPrintingFlags flags;
  if (isWhole)
    flags.enableDebugInfo(); // the nodes' names
  else
    flags.elideLargeResourceString(longestText);
  if (c.code.empty())
    return c.module.get()->print(os, flags);
  for (const TargetCode &code : c.code)
    code.module.get()->print(os, flags);
}

llvm::Error qcc::encodeState(const Compilation &c, llvm::raw_ostream &os) {
  ModuleOp module = c.code.empty() ? *c.module : *c.code.front().module;
  if (failed(writeBytecodeToFile(module, os)))
    return llvm::createStringError("the program cannot be written as bytecode");
  return llvm::Error::success();
}

LogicalResult qcc::readState(Compilation &c, StringRef state) {
  const Stage *stage = llvm::find_if(allStages(), [&](const Stage &s) { return s.name == state; });
  Location loc = UnknownLoc::get(&c.context);
  if (stage == allStages().end() || stage->name == "artifact")
    return emitError(loc) << "no program can start at '" << state << "'; qcc --print-states lists the states";
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(c.options.model, &c.context);
  if (!module)
    return failure();
  if (auto name = module.get()->getAttrOfType<StringAttr>(stateNameAttr); name && name.getValue() != state)
    return emitError(loc) << "'" << c.options.model << "' holds a program that is " << name.getValue() << ", not "
                          << state;
  if (!isPerTarget(*stage)) {
    if (!module->lookupSymbol<func::FuncOp>("main"))
      return emitError(loc) << "'" << c.options.model << "' has no function @main";
    c.module = std::move(module);
    return state == "packed" ? placeWeights(c) : success();
  }
  auto facts = findTarget(module->getName().value_or(""));
  if (!facts)
    return emitError(loc) << "'" << c.options.model << "': " << llvm::toString(facts.takeError());
  TargetCode code;
  code.facts = *facts, code.module = std::move(module);
  c.code.push_back(std::move(code));
  return success();
}

static std::string inFolder(StringRef folder, const Twine &name) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

LogicalResult qcc::dumpState(const Compilation &c, const Stage &stage) {
  if (stage.name == "artifact")
    return success();
  OpPrintingFlags flags;
  flags.elideLargeResourceString(longestText);
  std::string name = (Twine(&stage - allStages().begin()) + "-" + stage.name).str();
  if (!isPerTarget(stage))
    return writeFile(c.context, inFolder(c.options.dumpStatesTo, name + ".mlir"),
                     [&](llvm::raw_ostream &os) { c.module.get()->print(os, flags); });
  for (const TargetCode &code : c.code)
    if (failed(writeFile(c.context, inFolder(c.options.dumpStatesTo, name + "." + code.facts.name + ".mlir"),
                         [&](llvm::raw_ostream &os) { code.module.get()->print(os, flags); })))
      return failure();
  return success();
}

static LogicalResult dumpTiled(const Compilation &c, const TargetCode &code) {
  for (Operation &op : *code.module.get().getBody()) {
    auto name = op.getAttrOfType<StringAttr>(SymbolTable::getSymbolAttrName());
    if (!name || !name.getValue().starts_with(kernelPrefix))
      continue;
    auto write = [&](StringRef extension, llvm::function_ref<void(llvm::raw_ostream &)> body) {
      std::string file = (code.facts.name + "/" + name.getValue() + extension).str();
      return writeFile(c.context, inFolder(c.options.dumpKernelsTo, file), body);
    };
    auto note = op.getAttrOfType<StringAttr>(noteAttr);
    if (failed(write(".mlir", [&](llvm::raw_ostream &os) { os << op << "\n"; })) ||
        (note && failed(write(".txt", [&](llvm::raw_ostream &os) { os << note.getValue(); }))))
      return failure();
  }
  return success();
}

/// Cuts the target's assembly into its functions: each ends with the directive that gives its size, and constants stand
/// before the function that reads them.
static LogicalResult dumpAssembly(const Compilation &c, const TargetCode &code) {
  SmallVector<char, 0> bytes;
  if (llvm::Error error = generateCode(*code.module, code.facts, CodeKind::Assembly, bytes))
    return emitError(UnknownLoc::get(&c.context)) << llvm::toString(std::move(error));
  StringRef rest(bytes.data(), bytes.size());
  while (!rest.empty()) {
    constexpr StringLiteral directive = "\t.size\t";
    size_t at = rest.find(directive);
    if (at == StringRef::npos)
      break;
    StringRef name = rest.drop_front(at + directive.size()).take_until([](char ch) { return ch == ','; });
    size_t end = std::min(rest.find('\n', at), rest.size() - 1) + 1;
    StringRef text = rest.take_front(end);
    rest = rest.drop_front(end);
    if (name.starts_with(kernelPrefix) &&
        failed(writeFile(c.context, inFolder(c.options.dumpKernelsTo, code.facts.name + "/" + name + ".s"),
                         [&](llvm::raw_ostream &os) { os << text; })))
      return failure();
  }
  return success();
}

LogicalResult qcc::dumpKernels(const Compilation &c, const Stage &stage) {
  if (!isPerTarget(stage))
    return success();
  for (const TargetCode &code : c.code)
    if (failed(stage.name == "tiled" ? dumpTiled(c, code) : dumpAssembly(c, code)))
      return failure();
  return success();
}
