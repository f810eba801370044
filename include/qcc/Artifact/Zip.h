// The subset of the zip format (APPNOTE 6.3.10) that an artifact uses: stored entries, zip64 where sizes ask for it.
#ifndef QCC_ARTIFACT_ZIP_H
#define QCC_ARTIFACT_ZIP_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace qcc::zip {

constexpr uint32_t localSignature = 0x04034b50;
constexpr uint32_t centralSignature = 0x02014b50;
constexpr uint32_t endSignature = 0x06054b50;
constexpr uint32_t end64Signature = 0x06064b50;
constexpr uint32_t locator64Signature = 0x07064b50;
constexpr size_t localSize = 30;
constexpr size_t centralSize = 46;
constexpr size_t endSize = 22;
constexpr size_t end64Size = 56;
constexpr size_t locator64Size = 20;
constexpr uint16_t zip64Field = 0x0001;
// Android's zipalign: two bytes of alignment, then zeros.
constexpr uint16_t alignmentField = 0xd935;
constexpr uint16_t version = 45; // zip64
constexpr uint16_t nameIsUtf8 = 1 << 11;
constexpr uint16_t dosTime = 0;
constexpr uint16_t dosDate = (0 << 9) | (1 << 5) | 1; // 1980-01-01, the first day zip knows
constexpr size_t alignment = 64;
constexpr size_t maxEntries = 4096;
constexpr size_t maxNameLength = 1024;

struct Entry {
  std::string name;
  uint64_t header = 0; // where its local header starts
  uint64_t offset = 0; // where its bytes start
  uint64_t size = 0;
  uint32_t crc = 0;
};

// The header in front of an entry's bytes, of a length that makes them start at a multiple of `alignment`.
// `entry.header` must be set; sets `entry.offset`.
std::vector<uint8_t> localHeader(Entry &entry);
// What stands after the last entry, starting at file offset `start`.
std::vector<uint8_t> directory(const std::vector<Entry> &entries, uint64_t start);

// Reads the directory of a file made of exactly what the two functions above write; anything else is an error. Headers
// are compared byte for byte, so a change outside the entries' bytes is found here.
bool read(const uint8_t *data, size_t size, std::vector<Entry> &entries, std::string &error);

} // namespace qcc::zip

#endif // QCC_ARTIFACT_ZIP_H
