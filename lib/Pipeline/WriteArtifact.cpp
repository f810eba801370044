// packed weights, code and manifest -> the artifact.
#include "PlaceWeights.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Format/Format.h"
#include "qcc/Import/ModelFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cmath>
#ifdef __GLIBC__
#include <malloc.h>
#endif

using namespace mlir;
using namespace qcc;

static constexpr double widestRatio = -999.99; // in dB: no ratio takes more digits

/// Whether packing rounds the weight, which its signal-to-noise ratio tells of.
static bool isRounded(Value value) {
  auto weight = value.getDefiningOp<qnt::WeightOp>();
  return weight && weight.getOrder() != "encoded" && findFormat(weight.getFormat())->element->bits() < 32;
}

/// What is known of the weights' rounding and of the outputs; where a weight's ratio is not known yet, numbers that
/// take as many digits as any.
static std::string describeQuality(const Compilation &c) {
  llvm::json::Object tensors;
  for (auto [i, weight] : llvm::enumerate(c.weightOrder)) {
    auto known = c.quality.find(weight);
    if (known == c.quality.end() && !isRounded(weight))
      continue;
    double ratio = known == c.quality.end() ? widestRatio : std::clamp(known->second, widestRatio, -widestRatio);
    tensors[c.manifest.tensors[i].name] = llvm::json::Object{{"sqnr", std::round(ratio * 100) / 100}};
  }
  llvm::json::Object all;
  if (!tensors.empty())
    all["tensors"] = std::move(tensors);
  if (const auto &divergence = c.divergence) {
    llvm::json::Object outputs;
    for (const auto &[name, error] : divergence->relativeErrors())
      outputs[name] = error;
    all["outputs"] = std::move(outputs);
    if (divergence->rows() > 0) {
      all["kld"] = divergence->kld();
      all["top1"] = divergence->top1();
      all["rows"] = divergence->rows();
    }
  }
  std::string text;
  if (!all.empty())
    llvm::raw_string_ostream(text) << llvm::json::Value(std::move(all));
  return text;
}

LogicalResult Compilation::writeParts(ArtifactWriter &writer, bool withWeights, size_t manifestBytes,
                                      llvm::function_ref<LogicalResult()> mayFinish) {
  bool ok = true;
  for (TargetCode &target : code) {
    std::string name = "code/" + target.facts.name;
    ok = ok && writer.addFile(name + ".so", target.object.data(), target.object.size());
    if (!target.cubin.empty())
      ok = ok && writer.addFile(name + ".cubin", target.cubin.data(), target.cubin.size());
    if (target.facts.device)
      ok = ok && writer.addFile(name + ".ptx", target.deviceCode.data(), target.deviceCode.size());
  }
  for (const auto &[name, file] : options.files) {
    auto buffer = llvm::MemoryBuffer::getFile(file, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!buffer)
      return emitError(UnknownLoc::get(&context)) << "cannot read '" << file << "': " << buffer.getError().message();
    ok = ok && writer.addFile(name, (*buffer)->getBufferStart(), (*buffer)->getBufferSize());
  }
  ok = ok && writer.beginWeights(weights);
  for (Value weight : weightOrder) {
    if (!ok || !withWeights)
      break;
    auto append = [&](const void *data, size_t size) { return ok = writer.appendWeights(data, size); };
    if (llvm::Error error = packWeight(*this, weight, append))
      return emitError(weight.getLoc()) << llvm::toString(std::move(error));
    releaseMemory();
  }
  manifest.quality = describeQuality(*this);
  if (ok && mayFinish && failed(mayFinish()))
    return failure();
  ok = ok && writer.endWeights() && writer.finish(manifest, manifestBytes);
  if (!ok)
    return emitError(UnknownLoc::get(&context)) << "cannot write the artifact: " << writer.error();
  return success();
}

void Compilation::releaseMemory() {
  for (const auto &file : mappings)
    file->releasePages();
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

FailureOr<int64_t> Compilation::artifactBytes() {
  ArtifactWriter counter = ArtifactWriter::counting();
  if (failed(writeParts(counter, /*withWeights=*/false, 0, nullptr)))
    return failure();
  return int64_t(counter.bytes());
}

LogicalResult Compilation::write(StringRef path, llvm::function_ref<LogicalResult()> mayFinish) {
  // The manifest tells of the weights and stands behind them: its size is settled before they are read.
  ArtifactWriter counter = ArtifactWriter::counting(), writer(path.str());
  if (failed(writeParts(counter, /*withWeights=*/false, 0, nullptr)))
    return failure();
  return writeParts(writer, /*withWeights=*/true, counter.manifestBytes(), mayFinish);
}
