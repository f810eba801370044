#include "qcc/Artifact/Reader.h"
#include "qcc/Artifact/Sha256.h"
#include "qcc/Artifact/Writer.h"
#include "qcc/Artifact/Zip.h"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace qcc {
namespace {

constexpr std::string_view manifestName = "manifest.json";
constexpr std::string_view manifestHashName = "manifest.sha256";
constexpr std::string_view weightsName = "weights.safetensors";
constexpr size_t maxManifest = size_t(256) << 20;

} // namespace

std::unique_ptr<ArtifactReader> ArtifactReader::open(const std::string &path, std::string &error) {
  auto fail = [&](const std::string &why) {
    error = path + ": " + why;
    return nullptr;
  };
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return fail(std::strerror(errno));
  struct stat info = {};
  std::unique_ptr<ArtifactReader> reader(new ArtifactReader);
  bool regular = ::fstat(file, &info) == 0 && S_ISREG(info.st_mode);
  if (regular && info.st_size > 0) {
    void *base = ::mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (base != MAP_FAILED) {
      reader->base = static_cast<const uint8_t *>(base);
      reader->size = info.st_size;
      reader->mapped = true;
    }
  }
  ::close(file);
  if (!regular)
    return fail("not a regular file");
  if (info.st_size == 0)
    return fail("empty file");
  if (!reader->mapped)
    return fail(std::string("cannot map: ") + std::strerror(errno));
  if (!reader->read(error))
    return fail(error);
  return reader;
}

std::unique_ptr<ArtifactReader> ArtifactReader::openMemory(const void *data, size_t size, std::string &error) {
  std::unique_ptr<ArtifactReader> reader(new ArtifactReader);
  reader->base = static_cast<const uint8_t *>(data);
  reader->size = size;
  if (!data || !reader->read(error)) {
    if (!data)
      error = "no data";
    return nullptr;
  }
  return reader;
}

ArtifactReader::~ArtifactReader() {
  if (mapped)
    ::munmap(const_cast<uint8_t *>(base), size);
}

Part ArtifactReader::part(std::string_view name) const {
  auto it = parts.find(name);
  return it == parts.end() ? Part() : it->second;
}

std::string_view ArtifactReader::manifestText() const {
  Part text = part(manifestName);
  return {reinterpret_cast<const char *>(text.data), text.size};
}

bool ArtifactReader::verify(const Manifest::Entry &entry, std::string &error) const {
  Part bytes = part(entry.name);
  if (Sha256::of(bytes.data, bytes.size) == entry.sha256)
    return true;
  error = "'" + entry.name + "' is not what was built: its hash differs from the manifest's";
  return false;
}

bool ArtifactReader::verifyAll(std::string &error) const {
  for (const Manifest::Entry &entry : contents.entries)
    if (!verify(entry, error))
      return false;
  return true;
}

bool ArtifactReader::read(std::string &error) {
  std::vector<zip::Entry> entries;
  if (!zip::read(base, size, entries, error))
    return false;
  for (const zip::Entry &entry : entries)
    parts[entry.name] = {base + entry.offset, entry.size};

  auto fail = [&](std::string why) {
    error = std::move(why);
    return false;
  };
  Part hash = part(manifestHashName);
  std::string_view text = manifestText();
  if (!text.data() || !hash.data || text.size() > maxManifest)
    return fail("no manifest");
  std::string expected = Sha256::of(text.data(), text.size()) + "  manifest.json\n";
  if (std::string_view(reinterpret_cast<const char *>(hash.data), hash.size) != expected)
    return fail("the manifest is not what was built: its hash differs");
  std::optional<Manifest> manifest = Manifest::parse(text, error);
  if (!manifest)
    return false;
  contents = std::move(*manifest);

  // Every part but the manifest and its hash stands in the manifest once, with its size.
  if (contents.entries.size() + 2 != parts.size())
    return fail("manifest: its list of parts is not the file's");
  for (const Manifest::Entry &entry : contents.entries) {
    auto it = parts.find(entry.name);
    if (it == parts.end() || static_cast<int64_t>(it->second.size) != entry.bytes || entry.name == manifestName ||
        entry.name == manifestHashName)
      return fail("manifest: its list of parts is not the file's: '" + entry.name + "'");
    bool hashNow = entry.name != weightsName || it->second.size <= hashedAtOpen;
    if (hashNow && !verify(entry, error))
      return false;
  }
  for (const Manifest::Target &target : contents.targets) {
    auto lacks = [&](const std::string &entry) {
      return fail("manifest: target '" + target.name + "' has no part '" + entry + "'");
    };
    if (!contents.findEntry(target.entry))
      return lacks(target.entry);
    for (const Manifest::Target::Module &module : target.device.modules)
      if (!contents.findEntry(module.entry))
        return lacks(module.entry);
  }
  return readWeights(error);
}

bool ArtifactReader::readWeights(std::string &error) {
  auto fail = [&](std::string why) {
    error = "weights.safetensors: " + why;
    return false;
  };
  Part whole = part(weightsName);
  if (whole.data) {
    if (whole.size < 8)
      return fail("too short");
    uint64_t header = 0;
    for (int i = 7; i >= 0; --i)
      header = header << 8 | whole.data[i];
    if (header > whole.size - 8)
      return fail("its header does not fit");
    if ((header + 8) % WeightLayout::alignment)
      return fail("its data is not aligned");
    weightData = {whole.data + 8 + header, whole.size - 8 - static_cast<size_t>(header)};
  }
  for (const Manifest::Tensor &tensor : contents.tensors)
    if (tensor.offset > static_cast<int64_t>(weightData.size) ||
        tensor.bytes > static_cast<int64_t>(weightData.size) - tensor.offset)
      return fail("tensor '" + tensor.name + "' does not fit");
  return true;
}

} // namespace qcc
