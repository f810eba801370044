#include "HostedProgram.h"
#include "Signature.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

std::string CodeCache::keyOf(ModuleOp tiled) {
  std::string text;
  llvm::raw_string_ostream os(text);
  tiled->print(os);
  auto hash = llvm::BLAKE3::hash(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(text.data()), text.size()));
  return llvm::toHex(hash);
}

llvm::Expected<std::unique_ptr<Program>> qcc::openProgram(Compilation &compilation) {
  SmallString<128> path;
  if (auto failure = llvm::sys::fs::createTemporaryFile("qcc", "qcc", path))
    return llvm::createStringError("cannot make a temporary file: " + failure.message());
  llvm::FileRemover remove(path);
  if (failed(compilation.write(path)))
    return llvm::createStringError("a program to be run by the compiler could not be written");
  std::string error;
  std::unique_ptr<Program> program = Program::open(path.str().str(), {0, "cpu", false}, error);
  if (!program)
    return llvm::createStringError("the program cannot be run here: " + error);
  return program;
}

llvm::Expected<std::unique_ptr<Program>> qcc::openModule(Compilation &c, CodeCache &cache,
                                                         OwningOpRef<ModuleOp> module) {
  CompileOptions options = c.options;
  options.targets = {"native"};
  options.files.clear(), options.dumpStatesTo.clear(), options.dumpKernelsTo.clear();
  Compilation piece(c.context, options);
  piece.codeCache = &cache;
  piece.module = std::move(module);
  if (failed(runStages(piece, "quantized", "artifact")))
    return llvm::createStringError("a part of it does not compile");
  return openProgram(piece);
}

static bool isFinite(const NpzArray &array) {
  if (array.type != DataType::F32)
    return true;
  ArrayRef<float> values(reinterpret_cast<const float *>(array.bytes.data()), array.bytes.size() / sizeof(float));
  return llvm::all_of(values, [](float value) { return std::isfinite(value); });
}

LogicalResult qcc::readSamples(Compilation &c, Samples &samples) {
  Manifest manifest;
  std::string error;
  if (failed(describeBorder(*c.module, manifest)))
    return failure();
  Location loc = UnknownLoc::get(&c.context);
  if (!Samples::read(c.options.calibration, manifest, samples, error))
    return emitError(loc) << error;
  if (samples.size() == 0)
    return emitError(loc) << "the calibration data hold no sample";
  for (size_t i = 0; i < samples.size(); ++i)
    for (const NpzArray &array : samples[i])
      if (!isFinite(array))
        return emitError(loc) << "sample " << i << " of the calibration data: input '" << array.name
                              << "' holds infinities or NaNs; leave such samples out";
  return success();
}

llvm::Expected<std::vector<NpzArray>> qcc::runProgram(Program &program, const std::vector<NpzArray> &inputs,
                                                      const std::vector<std::string> &outputs) {
  std::vector<NpzArray> results;
  std::string error;
  program.reset();
  if (!program.run(inputs, outputs, results, error))
    return llvm::createStringError(error);
  return results;
}
