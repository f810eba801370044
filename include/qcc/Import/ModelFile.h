// The bytes of an ONNX model: the mapped model file and its external data files.
#pragma once

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>
#include <vector>

namespace qcc {

/// A file mapped read-only for as long as somebody holds it.
class MappedFile {
public:
  static llvm::Expected<std::shared_ptr<MappedFile>> open(llvm::StringRef path);
  ~MappedFile();
  llvm::StringRef bytes() const { return {data, size}; }
  /// Lets go of the memory that reading it has taken; it is read again when it is asked for.
  void releasePages() const;

private:
  MappedFile(const char *data, size_t size) : data(data), size(size) {}
  const char *data;
  size_t size;
};

/// Where tensor data that was left in a file stands.
struct FileRange {
  std::shared_ptr<MappedFile> file;
  llvm::StringRef bytes;
};

/// A model file whose large tensor data stays in the mapping.
///
/// Protobuf copies every `raw_data` field that it parses, so they are cut out first: `protobuf()` is the message
/// without them, and a tensor whose data was cut out has the external data location `cutLocation` and the offset of its
/// bytes in the file.
class ModelFile {
public:
  static constexpr llvm::StringLiteral cutLocation = "qcc:model-file";

  /// Maps `path`; a folder means the model.onnx in it, or in its subfolder onnx/.
  static llvm::Expected<ModelFile> open(llvm::StringRef path);

  const std::string &path() const { return modelPath; }
  /// The model's path and those of the external data files read so far.
  llvm::ArrayRef<std::string> paths() const { return read; }
  std::vector<std::shared_ptr<MappedFile>> mappings() const;
  llvm::StringRef protobuf() const { return slim; }
  /// The bytes at `offset` of an external data file in the model's folder. A location that leaves the folder, a file
  /// that is missing and a range outside of it are errors. `length` may be -1: to the end of the file.
  llvm::Expected<FileRange> external(llvm::StringRef location, int64_t offset, int64_t length);

private:
  std::string modelPath, slim;
  std::vector<std::string> read;
  std::shared_ptr<MappedFile> model;
  llvm::StringMap<std::shared_ptr<MappedFile>> others;
};

} // namespace qcc
