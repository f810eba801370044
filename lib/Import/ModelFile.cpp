#include "qcc/Import/ModelFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace qcc;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

static Error fail(const llvm::Twine &message) { return llvm::createStringError(message); }

Expected<std::shared_ptr<MappedFile>> MappedFile::open(StringRef path) {
  int fd = ::open(path.str().c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail("cannot open '" + path + "': " + std::strerror(errno));
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return fail("'" + path + "' is not a regular file");
  }
  size_t size = info.st_size;
  void *data = size ? mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0) : nullptr;
  int error = errno;
  ::close(fd);
  if (data == MAP_FAILED)
    return fail("cannot map '" + path + "': " + std::strerror(error));
  return std::shared_ptr<MappedFile>(new MappedFile(static_cast<const char *>(data), size));
}

MappedFile::~MappedFile() {
  if (data)
    munmap(const_cast<char *>(data), size);
}

void MappedFile::releasePages() const {
  // Nothing was written through the mapping, so that there is nothing to lose.
  if (data)
    madvise(const_cast<char *>(data), size, MADV_DONTNEED);
}

namespace {
/// Copies a protobuf message without its large tensor data. It understands the wire format and the few field numbers on
/// the way to a TensorProto; everything else is copied as it is. https://protobuf.dev/programming-guides/encoding
class Slimmer {
public:
  explicit Slimmer(StringRef file) : file(file) {}
  bool model(StringRef in, std::string &out) { return message(in, out, Level::Model, 0); }

private:
  enum class Level { Model, Graph, Node, Attribute, Tensor, Function, Opaque };
  static constexpr size_t cutAbove = 1024;
  static constexpr int maxDepth = 64;

  static Level below(Level level, uint64_t field) {
    switch (level) {
    case Level::Model:
      return field == 7 ? Level::Graph : field == 25 ? Level::Function : Level::Opaque;
    case Level::Graph:
      return field == 1 ? Level::Node : field == 5 ? Level::Tensor : Level::Opaque;
    case Level::Function:
      return field == 7 ? Level::Node : Level::Opaque;
    case Level::Node:
      return field == 5 ? Level::Attribute : Level::Opaque;
    case Level::Attribute:
      return field == 5 || field == 10 ? Level::Tensor : field == 6 || field == 11 ? Level::Graph : Level::Opaque;
    default:
      return Level::Opaque;
    }
  }

  static bool varint(StringRef &in, uint64_t &value) {
    value = 0;
    for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
      uint8_t byte = in.front();
      in = in.drop_front();
      value |= uint64_t(byte & 127) << shift;
      if (!(byte & 128))
        return true;
    }
    return false;
  }
  static void putVarint(std::string &out, uint64_t value) {
    for (; value >= 128; value >>= 7)
      out.push_back(char(value | 128));
    out.push_back(char(value));
  }
  static void putBytes(std::string &out, unsigned field, StringRef bytes) {
    putVarint(out, field << 3 | 2);
    putVarint(out, bytes.size());
    out += bytes;
  }
  static void putEntry(std::string &out, StringRef key,
                       StringRef value) { // StringStringEntryProto in TensorProto.external_data
    std::string entry;
    putBytes(entry, 1, key);
    putBytes(entry, 2, value);
    putBytes(out, 13, entry);
  }

  bool message(StringRef in, std::string &out, Level level, int depth) {
    if (depth > maxDepth)
      return false;
    bool isCut = false;
    while (!in.empty()) {
      StringRef start = in;
      uint64_t key, length;
      if (!varint(in, key))
        return false;
      switch (key & 7) {
      case 0:
        if (!varint(in, length))
          return false;
        if (isCut && key >> 3 == 14) // the file's own data_location must not replace the one that was put
          continue;
        break;
      case 1:
      case 5:
        if (in.size() < ((key & 7) == 1 ? 8u : 4u))
          return false;
        in = in.drop_front((key & 7) == 1 ? 8 : 4);
        break;
      case 2: {
        if (!varint(in, length) || length > in.size())
          return false;
        StringRef body = in.take_front(length);
        in = in.drop_front(length);
        Level inner = below(level, key >> 3);
        if (level == Level::Tensor && key >> 3 == 9 && length > cutAbove) {
          isCut = true;
          putVarint(out, 14 << 3); // TensorProto.data_location = EXTERNAL
          putVarint(out, 1);
          putEntry(out, "location", ModelFile::cutLocation);
          putEntry(out, "offset", std::to_string(body.data() - file.data()));
          putEntry(out, "length", std::to_string(length));
          continue;
        }
        if (inner != Level::Opaque) {
          std::string slim;
          if (!message(body, slim, inner, depth + 1))
            return false;
          putBytes(out, key >> 3, slim);
          continue;
        }
        break;
      }
      default:
        return false;
      }
      out += start.drop_back(in.size());
    }
    return true;
  }
  StringRef file;
};
} // namespace

Expected<ModelFile> ModelFile::open(StringRef path) {
  ModelFile result;
  result.modelPath = path.str();
  if (llvm::sys::fs::is_directory(path)) {
    for (const char *name : {"model.onnx", "onnx/model.onnx"}) {
      llvm::SmallString<256> candidate(path);
      llvm::sys::path::append(candidate, name);
      if (llvm::sys::fs::exists(candidate)) {
        result.modelPath = candidate.str().str();
        break;
      }
    }
    if (result.modelPath == path)
      return fail("the folder '" + path + "' holds neither model.onnx nor onnx/model.onnx");
  }
  auto file = MappedFile::open(result.modelPath);
  if (!file)
    return file.takeError();
  result.model = *file;
  result.read.push_back(result.modelPath);
  StringRef bytes = result.model->bytes();
  if (bytes.empty())
    return fail("'" + result.modelPath + "' is empty");
  if (!Slimmer(bytes).model(bytes, result.slim))
    return fail("'" + result.modelPath + "' is not an ONNX model: its protobuf is malformed or cut short");
  return result;
}

std::vector<std::shared_ptr<MappedFile>> ModelFile::mappings() const {
  std::vector<std::shared_ptr<MappedFile>> all = {model};
  for (const auto &other : others)
    all.push_back(other.second);
  return all;
}

Expected<FileRange> ModelFile::external(StringRef location, int64_t offset, int64_t length) {
  std::shared_ptr<MappedFile> file = model;
  if (location != cutLocation) {
    auto &known = others[location];
    if (!known) {
      if (llvm::sys::path::is_absolute(location) || location.contains('\\') || location.contains('\0'))
        return fail("external data '" + location + "' must be a path inside the model's folder");
      llvm::SmallString<256> joined(llvm::sys::path::parent_path(modelPath)), folder, real;
      if (joined.empty())
        joined = ".";
      if (llvm::sys::fs::real_path(joined, folder))
        return fail("cannot resolve the model's folder '" + joined + "'");
      llvm::sys::path::append(joined, location);
      if (llvm::sys::fs::real_path(joined, real))
        return fail("external data file '" + joined + "' does not exist");
      // After links are resolved: neither `..` nor a symbolic link may lead out of the folder.
      if (!StringRef(real).starts_with(folder) || !StringRef(real).drop_front(folder.size()).starts_with("/"))
        return fail("external data '" + location + "' leads out of the model's folder");
      auto opened = MappedFile::open(real);
      if (!opened)
        return opened.takeError();
      known = *opened;
      read.push_back(joined.str().str());
    }
    file = known;
  }
  StringRef bytes = file->bytes();
  if (offset < 0 || uint64_t(offset) > bytes.size() || (length >= 0 && uint64_t(length) > bytes.size() - offset))
    return fail("external data '" + location + "' has " + llvm::Twine(bytes.size()) + " bytes, but offset " +
                llvm::Twine(offset) + " with length " + llvm::Twine(length) + " was asked for");
  return FileRange{file, length < 0 ? bytes.drop_front(offset) : bytes.substr(offset, length)};
}
