// Writes `model.qcc`: an uncompressed zip of standard parts, each starting at a multiple of 64 bytes.
#ifndef QCC_ARTIFACT_WRITER_H
#define QCC_ARTIFACT_WRITER_H

#include "qcc/Artifact/Manifest.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace qcc {

// Where each tensor stands in the weights' data section. Known before any byte is written, because code holds the
// offsets.
class WeightLayout {
public:
  static constexpr int64_t alignment = 64;

  // Gives the offset of the next tensor. `type` and `shape` are what ordinary tools shall see; when they do not
  // describe `bytes` bytes (packed codes and scales), the tensor is shown as `bytes` of u8. Names must be distinct.
  int64_t add(std::string name, DataType type, std::vector<int64_t> shape, int64_t bytes);
  int64_t totalBytes() const { return end; }

private:
  friend class ArtifactWriter;
  struct Slot {
    std::string name;
    DataType type;
    std::vector<int64_t> shape;
    int64_t offset, bytes;
  };
  std::vector<Slot> slots;
  int64_t end = 0;
};

// Every call returns false after the first failure, whose reason `error()` keeps. The file appears under its name when
// `finish` succeeds; until then it has a temporary name beside it, and the destructor removes that.
// The bytes written depend on nothing but what is passed.
class ArtifactWriter {
public:
  explicit ArtifactWriter(std::string path);
  // A writer that only counts: no file is made, and the weights' bytes need not be passed.
  static ArtifactWriter counting();
  ~ArtifactWriter();
  ArtifactWriter(ArtifactWriter &&) = default;
  ArtifactWriter &operator=(ArtifactWriter &&) = delete;

  // Adds a part from memory: "code/x86-64-v3.so", "tokenizer.bin".
  bool addFile(const std::string &name, const void *data, size_t size);

  // Starts "weights.safetensors". Then each tensor's bytes are appended in the order of the layout, in pieces of any
  // size; no more than one piece needs to be in memory at a time.
  bool beginWeights(const WeightLayout &layout);
  bool appendWeights(const void *data, size_t size);
  bool endWeights();

  // Fills `manifest.entries`, writes the manifest, with spaces up to `manifestBytes` where it is shorter, and its hash;
  // completes and renames the file.
  bool finish(Manifest manifest, size_t manifestBytes = 0);

  // What has been written so far; after `finish` the file's size and its manifest's.
  size_t bytes() const;
  size_t manifestBytes() const;

  const std::string &error() const { return reason; }

private:
  struct Implementation;
  explicit ArtifactWriter(std::unique_ptr<Implementation> impl);
  bool fail(std::string why);
  std::unique_ptr<Implementation> impl;
  std::string reason;
};

} // namespace qcc

#endif // QCC_ARTIFACT_WRITER_H
