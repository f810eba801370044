#include "qcc/Artifact/Zip.h"

#include <cstring>
#include <set>

namespace qcc::zip {
namespace {

constexpr uint64_t limit32 = 0xffffffff;

void put16(std::vector<uint8_t> &out, uint64_t value) {
  out.push_back(static_cast<uint8_t>(value));
  out.push_back(static_cast<uint8_t>(value >> 8));
}
void put32(std::vector<uint8_t> &out, uint64_t value) {
  put16(out, value & 0xffff);
  put16(out, value >> 16);
}
void put64(std::vector<uint8_t> &out, uint64_t value) {
  put32(out, value & limit32);
  put32(out, value >> 32);
}
void putName(std::vector<uint8_t> &out, const std::string &name) { out.insert(out.end(), name.begin(), name.end()); }

uint64_t get(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i)
    value = value << 8 | at[i];
  return value;
}

// Fields that the local header and the directory share.
void putShared(std::vector<uint8_t> &out, const Entry &entry, bool large) {
  put16(out, version);
  put16(out, nameIsUtf8);
  put16(out, 0); // stored
  put16(out, dosTime);
  put16(out, dosDate);
  put32(out, entry.crc);
  put32(out, large ? limit32 : entry.size);
  put32(out, large ? limit32 : entry.size);
  put16(out, entry.name.size());
}

} // namespace

std::vector<uint8_t> localHeader(Entry &entry) {
  bool large = entry.size >= limit32;
  size_t zip64 = large ? 20 : 0;
  constexpr size_t fieldHeader = 6; // id, length, alignment
  uint64_t earliest = entry.header + localSize + entry.name.size() + zip64 + fieldHeader;
  uint64_t zeros = (alignment - earliest % alignment) % alignment;
  entry.offset = earliest + zeros;

  std::vector<uint8_t> out;
  put32(out, localSignature);
  putShared(out, entry, large);
  put16(out, zip64 + fieldHeader + zeros);
  putName(out, entry.name);
  if (large) {
    put16(out, zip64Field);
    put16(out, 16);
    put64(out, entry.size);
    put64(out, entry.size);
  }
  put16(out, alignmentField);
  put16(out, 2 + zeros);
  put16(out, alignment);
  out.insert(out.end(), zeros, 0);
  return out;
}

std::vector<uint8_t> directory(const std::vector<Entry> &entries, uint64_t start) {
  std::vector<uint8_t> out;
  for (const Entry &entry : entries) {
    bool large = entry.size >= limit32, far = entry.header >= limit32;
    put32(out, centralSignature);
    put16(out, version);
    putShared(out, entry, large);
    put16(out, large || far ? 4 + 16 * large + 8 * far : 0);
    put16(out, 0); // comment
    put16(out, 0); // disk
    put16(out, 0); // internal attributes
    put32(out, 0); // external attributes
    put32(out, far ? limit32 : entry.header);
    putName(out, entry.name);
    if (large || far) {
      put16(out, zip64Field);
      put16(out, 16 * large + 8 * far);
      if (large) {
        put64(out, entry.size);
        put64(out, entry.size);
      }
      if (far)
        put64(out, entry.header);
    }
  }
  uint64_t length = out.size(), count = entries.size();
  bool far = start >= limit32;
  if (far) {
    put32(out, end64Signature);
    put64(out, end64Size - 12);
    put16(out, version);
    put16(out, version);
    put32(out, 0);
    put32(out, 0);
    put64(out, count);
    put64(out, count);
    put64(out, length);
    put64(out, start);
    put32(out, locator64Signature);
    put32(out, 0);
    put64(out, start + length);
    put32(out, 1);
  }
  put32(out, endSignature);
  put16(out, 0);
  put16(out, 0);
  put16(out, count);
  put16(out, count);
  put32(out, length);
  put32(out, far ? limit32 : start);
  put16(out, 0); // comment
  return out;
}

bool read(const uint8_t *data, size_t size, std::vector<Entry> &entries, std::string &error) {
  auto fail = [&](const char *why) {
    error = std::string("not a complete qcc artifact: ") + why;
    return false;
  };
  if (size < endSize || get(data, 4) != localSignature)
    return fail("it does not start as one");
  const uint8_t *end = data + size - endSize;
  if (get(end, 4) != endSignature)
    return fail("its end is missing");
  size_t count = get(end + 10, 2);
  uint64_t length = get(end + 12, 4), start = get(end + 16, 4);
  size_t endLength = endSize;
  if (start == limit32) {
    endLength += locator64Size + end64Size;
    if (size < endLength)
      return fail("its end is missing");
    start = get(end - locator64Size - end64Size + 48, 8);
  }
  if (count == 0 || count > maxEntries)
    return fail("it has no parts, or too many");
  if (length > size - endLength || start != size - endLength - length)
    return fail("its directory is not where its end says");

  const uint8_t *at = data + start, *stop = at + length;
  uint64_t position = 0;
  std::set<std::string> names;
  entries.clear();
  for (size_t i = 0; i < count; ++i) {
    if (static_cast<size_t>(stop - at) < centralSize || get(at, 4) != centralSignature)
      return fail("its directory is damaged");
    size_t nameLength = get(at + 28, 2), extraLength = get(at + 30, 2);
    if (nameLength == 0 || nameLength > maxNameLength ||
        static_cast<size_t>(stop - at) - centralSize < nameLength + extraLength)
      return fail("its directory is damaged");
    Entry entry;
    entry.name.assign(reinterpret_cast<const char *>(at + centralSize), nameLength);
    entry.crc = static_cast<uint32_t>(get(at + 16, 4));
    entry.size = get(at + 24, 4);
    if (entry.size == limit32) {
      if (extraLength < 20)
        return fail("its directory is damaged");
      entry.size = get(at + centralSize + nameLength + 4, 8);
    }
    // Entries follow each other without gaps, so each one's header stands where the one before ends.
    entry.header = position;
    std::vector<uint8_t> expected = localHeader(entry);
    if (entry.offset > start || entry.size > start - entry.offset ||
        std::memcmp(data + position, expected.data(), expected.size()) != 0)
      return fail("the header of a part is damaged");
    position = entry.offset + entry.size;
    at += centralSize + nameLength + extraLength;
    if (!names.insert(entry.name).second)
      return fail("two parts have one name");
    entries.push_back(std::move(entry));
  }
  std::vector<uint8_t> expected = directory(entries, start);
  if (position != start || expected.size() != size - start ||
      std::memcmp(data + start, expected.data(), expected.size()) != 0)
    return fail("its directory is damaged");
  return true;
}

} // namespace qcc::zip
