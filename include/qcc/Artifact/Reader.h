// Opens `model.qcc`. The bytes are untrusted: every offset, size and shape is checked before it is used.
#ifndef QCC_ARTIFACT_READER_H
#define QCC_ARTIFACT_READER_H

#include "qcc/Artifact/Manifest.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace qcc {

// A part of the artifact, in place.
struct Part {
  const uint8_t *data = nullptr;
  size_t size = 0;
};

class ArtifactReader {
public:
  // Weights up to this size are hashed when the file is opened; larger ones by `verifyAll`.
  static constexpr size_t hashedAtOpen = size_t(64) << 20;

  // Maps the file. It must not be shortened while it is open: as for any mapped file, reading what is gone is a SIGBUS.
  static std::unique_ptr<ArtifactReader> open(const std::string &path, std::string &error);
  // Reads from memory that stays valid and unchanged as long as the reader.
  static std::unique_ptr<ArtifactReader> openMemory(const void *data, size_t size, std::string &error);
  ~ArtifactReader();

  const Manifest &manifest() const { return contents; }
  std::string_view manifestText() const;
  // Null data when there is no such part.
  Part part(std::string_view name) const;
  // The data section of weights.safetensors; 64-byte aligned when the artifact was opened from a file.
  Part weights() const { return weightData; }
  // Compares every part with its hash.
  bool verifyAll(std::string &error) const;

private:
  ArtifactReader() = default;
  bool read(std::string &error);
  bool readWeights(std::string &error);
  bool verify(const Manifest::Entry &entry, std::string &error) const;

  const uint8_t *base = nullptr;
  size_t size = 0;
  bool mapped = false;
  Manifest contents;
  std::map<std::string, Part, std::less<>> parts;
  Part weightData;
};

} // namespace qcc

#endif // QCC_ARTIFACT_READER_H
