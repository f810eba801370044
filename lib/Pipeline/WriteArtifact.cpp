// packed weights, code and manifest -> the artifact.
#include "PlaceWeights.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Format/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

static constexpr double widestRatio = -999.99; // in dB: no ratio takes more digits

/// Whether packing rounds the weight, which its signal-to-noise ratio tells of.
static bool isRounded(Value value) {
  auto weight = value.getDefiningOp<qnt::WeightOp>();
  return weight && weight.getOrder() != "encoded" && findFormat(weight.getFormat())->element->bits() < 32;
}

/// What is known of the weights' rounding; where it is not known yet, numbers that take as many digits as any.
static std::string describeQuality(const Compilation &c) {
  llvm::json::Object tensors;
  for (auto [i, weight] : llvm::enumerate(c.weightOrder)) {
    if (!isRounded(weight))
      continue;
    auto known = c.quality.find(weight);
    double ratio = known == c.quality.end() ? widestRatio : std::clamp(known->second, widestRatio, -widestRatio);
    tensors[c.manifest.tensors[i].name] = llvm::json::Object{{"sqnr", std::round(ratio * 100) / 100}};
  }
  if (tensors.empty())
    return "";
  llvm::json::Value all = llvm::json::Object{{"tensors", std::move(tensors)}};
  return llvm::formatv("{0}", all);
}

LogicalResult Compilation::writeParts(ArtifactWriter &writer, bool withWeights, size_t manifestBytes) {
  bool ok = true;
  for (TargetCode &target : code)
    ok = ok && writer.addFile("code/" + target.facts.name + ".so", target.object.data(), target.object.size());
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
  }
  manifest.quality = describeQuality(*this);
  ok = ok && writer.endWeights() && writer.finish(manifest, manifestBytes);
  if (!ok)
    return emitError(UnknownLoc::get(&context)) << "cannot write the artifact: " << writer.error();
  return success();
}

FailureOr<int64_t> Compilation::artifactBytes() {
  ArtifactWriter counter = ArtifactWriter::counting();
  if (failed(writeParts(counter, /*withWeights=*/false, 0)))
    return failure();
  return int64_t(counter.bytes());
}

LogicalResult Compilation::write(StringRef path) {
  // The manifest tells of the weights and stands behind them: its size is settled before they are read.
  ArtifactWriter counter = ArtifactWriter::counting(), writer(path.str());
  if (failed(writeParts(counter, /*withWeights=*/false, 0)))
    return failure();
  return writeParts(writer, /*withWeights=*/true, counter.manifestBytes());
}
