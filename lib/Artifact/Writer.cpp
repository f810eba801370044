#include "qcc/Artifact/Writer.h"
#include "qcc/Artifact/Sha256.h"
#include "qcc/Artifact/Zip.h"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

namespace qcc {

int64_t WeightLayout::add(std::string name, DataType type, std::vector<int64_t> shape, int64_t bytes) {
  if (tensorBytes(type, shape.data(), shape.size()) != bytes || qcc::bits(type) < 8 ||
      (safetensorsName(type) == "U8" && type != DataType::U8)) {
    type = DataType::U8;
    shape = {bytes};
  }
  int64_t offset = end;
  slots.push_back({std::move(name), type, std::move(shape), offset, bytes});
  end = (offset + bytes + alignment - 1) / alignment * alignment;
  return offset;
}

struct ArtifactWriter::Implementation {
  std::string path, temporary;
  int file = -1;
  uint64_t position = 0;
  std::vector<zip::Entry> entries;
  std::vector<Manifest::Entry> described;
  std::optional<Sha256> hash; // of the entry being written
  uint64_t written = 0;       // bytes of the entry being written
  std::optional<WeightLayout> weights;
  size_t slot = 0;
  int64_t slotBytes = 0; // of the current slot, already written
  bool counts = false;   // writes nothing
  size_t manifestBytes = 0;

  bool writeAll(const void *data, size_t size) {
    if (counts) {
      position += size;
      return true;
    }
    const char *bytes = static_cast<const char *>(data);
    while (size) {
      // Linux writes at most 2 GiB at once.
      ssize_t done = ::write(file, bytes, std::min(size, size_t(1) << 30));
      if (done < 0 && errno == EINTR)
        continue;
      if (done <= 0)
        return false;
      bytes += done, size -= done, position += done;
    }
    return true;
  }

  bool begin(const std::string &name, uint64_t size) {
    zip::Entry entry;
    entry.name = name;
    entry.header = position;
    entry.size = size;
    std::vector<uint8_t> header = zip::localHeader(entry);
    entries.push_back(std::move(entry));
    hash.emplace();
    written = 0;
    return writeAll(header.data(), header.size());
  }

  bool append(const void *data, size_t size) {
    // In pieces, so that the checksum, the hash and the file read the bytes while they are in the cache.
    constexpr size_t piece = 256 << 10;
    const uint8_t *bytes = static_cast<const uint8_t *>(data);
    for (size_t at = 0; at < size; at += piece) {
      size_t count = std::min(piece, size - at);
      entries.back().crc = static_cast<uint32_t>(crc32_z(entries.back().crc, bytes + at, count));
      hash->update(bytes + at, count);
      if (!writeAll(bytes + at, count))
        return false;
    }
    written += size;
    return true;
  }

  // The checksum stands in front of the bytes, so it is written last.
  bool end() {
    zip::Entry &entry = entries.back();
    described.push_back({entry.name, static_cast<int64_t>(entry.size), hash->finish()});
    std::vector<uint8_t> header = zip::localHeader(entry);
    return counts || ::pwrite(file, header.data(), header.size(), static_cast<off_t>(entry.header)) ==
                         static_cast<ssize_t>(header.size());
  }
};

ArtifactWriter::ArtifactWriter(std::string path) : impl(std::make_unique<Implementation>()) {
  impl->path = std::move(path);
  for (int attempt = 0; impl->file < 0 && attempt < 100; ++attempt) {
    impl->temporary = impl->path + "." + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".part";
    impl->file = ::open(impl->temporary.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
    if (impl->file < 0 && errno != EEXIST)
      break;
  }
  if (impl->file < 0) {
    impl->temporary.clear();
    fail(std::string("cannot create: ") + std::strerror(errno));
  }
}

ArtifactWriter::ArtifactWriter(std::unique_ptr<Implementation> impl) : impl(std::move(impl)) {}

ArtifactWriter ArtifactWriter::counting() {
  auto impl = std::make_unique<Implementation>();
  impl->counts = true;
  return ArtifactWriter(std::move(impl));
}

size_t ArtifactWriter::bytes() const { return impl->position; }

size_t ArtifactWriter::manifestBytes() const { return impl->manifestBytes; }

ArtifactWriter::~ArtifactWriter() {
  if (!impl)
    return;
  if (impl->file >= 0)
    ::close(impl->file);
  if (!impl->temporary.empty())
    ::unlink(impl->temporary.c_str());
}

bool ArtifactWriter::fail(std::string why) {
  if (reason.empty())
    reason = impl->path + ": " + why;
  return false;
}

bool ArtifactWriter::addFile(const std::string &name, const void *data, size_t size) {
  if (!reason.empty())
    return false;
  if (impl->weights)
    return fail("a part begun inside the weights");
  if (name.empty() || name.size() > zip::maxNameLength || impl->entries.size() + 1 >= zip::maxEntries)
    return fail("too many parts, or a part's name is empty or too long");
  for (const zip::Entry &entry : impl->entries)
    if (entry.name == name)
      return fail("two parts named '" + name + "'");
  if (!impl->begin(name, size) || !impl->append(data, size) || !impl->end())
    return fail(std::string("cannot write: ") + std::strerror(errno));
  return true;
}

bool ArtifactWriter::beginWeights(const WeightLayout &layout) {
  if (!reason.empty())
    return false;
  // Offsets in safetensors are without gaps: what aligns the next tensor is a tensor of its own.
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  auto describe = [&](const std::string &name, DataType type, const std::vector<int64_t> &shape, int64_t from,
                      int64_t to) {
    if (header.contains(name))
      return fail("two tensors named '" + name + "'");
    header[name] = {{"dtype", std::string(safetensorsName(type))}, {"shape", shape}, {"data_offsets", {from, to}}};
    return true;
  };
  int64_t end = 0, paddings = 0;
  for (const WeightLayout::Slot &slot : layout.slots) {
    int64_t next = slot.offset + slot.bytes;
    if (!describe(slot.name, slot.type, slot.shape, slot.offset, next))
      return false;
    end = (next + WeightLayout::alignment - 1) / WeightLayout::alignment * WeightLayout::alignment;
    if (end != next && !describe("qcc.padding." + std::to_string(paddings++), DataType::U8, {end - next}, next, end))
      return false;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  while ((text.size() + 8) % WeightLayout::alignment)
    text += ' ';
  uint8_t length[8];
  for (int i = 0; i < 8; ++i)
    length[i] = static_cast<uint8_t>(uint64_t(text.size()) >> (8 * i));
  impl->weights = layout;
  impl->slot = 0;
  impl->slotBytes = 0;
  if (!impl->begin("weights.safetensors", 8 + text.size() + end) || !impl->append(length, 8) ||
      !impl->append(text.data(), text.size()))
    return fail(std::string("cannot write: ") + std::strerror(errno));
  return true;
}

bool ArtifactWriter::appendWeights(const void *data, size_t size) {
  static const uint8_t zeros[WeightLayout::alignment] = {};
  if (!reason.empty())
    return false;
  if (!impl->weights)
    return fail("weights appended before they are begun");
  const uint8_t *bytes = static_cast<const uint8_t *>(data);
  const auto &slots = impl->weights->slots;
  while (size || (impl->slot < slots.size() && slots[impl->slot].bytes == impl->slotBytes)) {
    if (impl->slot == slots.size())
      return fail("more weights than the layout has");
    const WeightLayout::Slot &slot = slots[impl->slot];
    size_t count = std::min<uint64_t>(size, slot.bytes - impl->slotBytes);
    bool good = impl->append(bytes, count);
    bytes += count, size -= count, impl->slotBytes += count;
    if (impl->slotBytes == slot.bytes) {
      size_t padding = (WeightLayout::alignment - slot.bytes % WeightLayout::alignment) % WeightLayout::alignment;
      good = good && impl->append(zeros, padding);
      ++impl->slot;
      impl->slotBytes = 0;
    }
    if (!good)
      return fail(std::string("cannot write: ") + std::strerror(errno));
  }
  return true;
}

bool ArtifactWriter::endWeights() {
  if (impl->counts && impl->weights) {
    impl->position += impl->weights->totalBytes();
    impl->slot = impl->weights->slots.size();
  }
  if (!appendWeights(nullptr, 0))
    return false;
  if (impl->slot != impl->weights->slots.size())
    return fail("fewer weights than the layout has");
  impl->weights.reset();
  return impl->end() || fail(std::string("cannot write: ") + std::strerror(errno));
}

bool ArtifactWriter::finish(Manifest manifest, size_t manifestBytes) {
  if (!reason.empty())
    return false;
  manifest.entries = impl->described;
  std::string text = manifest.toJson(), why;
  // What the reader would refuse must not be written.
  if (!Manifest::parse(text, why))
    return fail(why);
  text.resize(std::max(text.size(), manifestBytes), ' ');
  impl->manifestBytes = text.size();
  std::string hash = Sha256::of(text.data(), text.size()) + "  manifest.json\n";
  if (!addFile("manifest.json", text.data(), text.size()) || !addFile("manifest.sha256", hash.data(), hash.size()))
    return false;
  std::vector<uint8_t> directory = zip::directory(impl->entries, impl->position);
  bool written = impl->writeAll(directory.data(), directory.size());
  if (impl->counts)
    return true;
  int closed = ::close(impl->file);
  impl->file = -1;
  if (!written || closed != 0)
    return fail(std::string("cannot write: ") + std::strerror(errno));
  if (std::rename(impl->temporary.c_str(), impl->path.c_str()) != 0)
    return fail(std::string("cannot rename: ") + std::strerror(errno));
  impl->temporary.clear();
  return true;
}

} // namespace qcc
