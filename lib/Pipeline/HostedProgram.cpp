#include "HostedProgram.h"
#include "Signature.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Artifact/Reader.h"
#include "qcc/Pack/PackedLayout.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include <cmath>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;
using namespace qcc;

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

/// The options of a part that is run by the compiler.
static CompileOptions partOptions(const CompileOptions &of) {
  CompileOptions options = of;
  options.targets = {"native"};
  options.files.clear(), options.dumpStatesTo.clear(), options.dumpKernelsTo.clear();
  return options;
}

static llvm::Error compilePart(Compilation &part, CodeCache &cache, OwningOpRef<ModuleOp> module) {
  part.codeCache = &cache;
  part.module = std::move(module);
  if (failed(runStages(part, "quantized", "artifact")))
    return llvm::createStringError("a part of it does not compile");
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<Program>> qcc::openModule(Compilation &c, CodeCache &cache,
                                                         OwningOpRef<ModuleOp> module) {
  Compilation piece(c.context, partOptions(c.options));
  if (llvm::Error error = compilePart(piece, cache, std::move(module)))
    return std::move(error);
  return openProgram(piece);
}

llvm::Expected<std::unique_ptr<ChangeableProgram>> ChangeableProgram::open(Compilation &c, CodeCache &cache,
                                                                           OwningOpRef<ModuleOp> module) {
  Compilation part(c.context, partOptions(c.options));
  if (llvm::Error error = compilePart(part, cache, std::move(module)))
    return std::move(error);
  SmallString<128> path;
  if (auto failure = llvm::sys::fs::createTemporaryFile("qcc", "qcc", path))
    return llvm::createStringError("cannot make a temporary file: " + failure.message());
  llvm::FileRemover remove(path);
  if (failed(part.write(path)))
    return llvm::createStringError("a program to be run by the compiler could not be written");
  part.releaseMemory();
  auto result = std::unique_ptr<ChangeableProgram>(new ChangeableProgram);
  std::string error;
  result->opened = Program::open(path.str().str(), {0, "cpu", false}, error);
  if (!result->opened)
    return llvm::createStringError("the program cannot be run here: " + error);
  int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  uint64_t size = 0;
  if (descriptor < 0 || llvm::sys::fs::file_size(path, size))
    return llvm::createStringError("cannot open a temporary file again");
  void *file = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  ::close(descriptor);
  if (file == MAP_FAILED)
    return llvm::createStringError("cannot map a temporary file");
  result->file = static_cast<char *>(file), result->size = size;
  auto reader = ArtifactReader::openMemory(file, size, error);
  if (!reader)
    return llvm::createStringError(error);
  int64_t weights = reinterpret_cast<const char *>(reader->weights().data) - result->file;
  part.module->walk([&](qnt::LinearOp linear) {
    auto type = cast<RankedTensorType>(linear.getWeight().getType());
    int64_t index = llvm::find(part.weightOrder, linear.getWeight()) - part.weightOrder.begin();
    result->places.push_back(
        {type.getDimSize(0), type.getDimSize(1), weights + part.manifest.tensors[size_t(index)].offset});
  });
  return result;
}

ChangeableProgram::~ChangeableProgram() {
  opened.reset();
  if (file)
    munmap(file, size);
}

void ChangeableProgram::replace(size_t linear, ArrayRef<float> rows) {
  const Place &place = places[linear];
  PackedLayout layout = PackedLayout::of(llvm::cantFail(findFormat("float32")), place.rows, place.columns);
  char *weight = file + place.offset;
  originals.push_back({place.offset, {weight, weight + layout.bytes()}});
  packTiles(layout, rows.data(), place.columns, 1, 0, layout.tiles(), reinterpret_cast<uint8_t *>(weight));
}

void ChangeableProgram::restore() {
  for (const auto &[offset, bytes] : originals)
    std::copy(bytes.begin(), bytes.end(), file + offset);
  originals.clear();
}

static bool isFiniteArray(const NpzArray &array) {
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
      if (!isFiniteArray(array))
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
