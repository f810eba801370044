#include "qcc/Artifact/Manifest.h"
#include "qcc/Artifact/Zip.h"
#include "qcc/Npz/Npz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>
#include <string_view>

namespace qcc {
namespace {

uint64_t get(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i)
    value = value << 8 | at[i];
  return value;
}

struct Member {
  std::string name;
  uint16_t method = 0;
  uint32_t crc = 0;
  uint64_t packed = 0, size = 0, header = 0;
};

// The directory at the end of any zip, as APPNOTE 6.3.10, 4.3.12 to 4.3.16 lay it out.
class Directory {
public:
  Directory(const uint8_t *data, size_t size) : data(data), size(size) {}

  bool read(std::vector<Member> &members) {
    uint64_t at = 0, count = 0, length = 0;
    if (!findEnd(at, count, length) || at > size || length > size - at)
      return false;
    uint64_t stop = at + length;
    for (uint64_t i = 0; i < count; ++i) {
      if (stop - at < zip::centralSize || get(data + at, 4) != zip::centralSignature)
        return false;
      uint64_t name = get(data + at + 28, 2), extra = get(data + at + 30, 2), comment = get(data + at + 32, 2);
      if (stop - at - zip::centralSize < name + extra + comment)
        return false;
      Member member;
      member.method = get(data + at + 10, 2);
      member.crc = get(data + at + 16, 4);
      member.packed = get(data + at + 20, 4);
      member.size = get(data + at + 24, 4);
      member.header = get(data + at + 42, 4);
      member.name.assign(reinterpret_cast<const char *>(data + at + zip::centralSize), name);
      readZip64(data + at + zip::centralSize + name, extra, member);
      members.push_back(std::move(member));
      at += zip::centralSize + name + extra + comment;
    }
    return true;
  }

  // Where the bytes of a member are; false when they are not in the file.
  bool locate(const Member &member, uint64_t &offset) const {
    if (member.header > size || size - member.header < zip::localSize ||
        get(data + member.header, 4) != zip::localSignature)
      return false;
    uint64_t skip = zip::localSize + get(data + member.header + 26, 2) + get(data + member.header + 28, 2);
    if (size - member.header < skip)
      return false;
    offset = member.header + skip;
    return member.packed <= size - offset;
  }

private:
  bool findEnd(uint64_t &start, uint64_t &count, uint64_t &length) const {
    if (size < zip::endSize)
      return false;
    constexpr size_t longestComment = 0xffff;
    size_t lowest = size - zip::endSize - std::min(size - zip::endSize, longestComment);
    for (size_t at = size - zip::endSize + 1; at-- > lowest;) {
      if (get(data + at, 4) != zip::endSignature)
        continue;
      count = get(data + at + 10, 2);
      length = get(data + at + 12, 4);
      start = get(data + at + 16, 4);
      if (at >= zip::locator64Size && get(data + at - zip::locator64Size, 4) == zip::locator64Signature) {
        uint64_t end64 = get(data + at - zip::locator64Size + 8, 8);
        if (end64 > size || size - end64 < zip::end64Size || get(data + end64, 4) != zip::end64Signature)
          return false;
        count = get(data + end64 + 32, 8);
        length = get(data + end64 + 40, 8);
        start = get(data + end64 + 48, 8);
      }
      return true;
    }
    return false;
  }

  static void readZip64(const uint8_t *extra, uint64_t length, Member &member) {
    constexpr uint64_t elsewhere = 0xffffffff;
    for (uint64_t at = 0; at + 4 <= length;) {
      uint64_t id = get(extra + at, 2), bytes = get(extra + at + 2, 2);
      at += 4;
      if (bytes > length - at)
        return;
      if (id == zip::zip64Field) {
        uint64_t field = at, end = at + bytes;
        for (uint64_t *value : {&member.size, &member.packed, &member.header})
          if (*value == elsewhere && end - field >= 8) {
            *value = get(extra + field, 8);
            field += 8;
          }
      }
      at += bytes;
    }
  }

  const uint8_t *data;
  size_t size;
};

bool inflateAll(const uint8_t *from, uint64_t packed, std::vector<uint8_t> &to) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return false;
  uint64_t in = 0, out = 0;
  int status = Z_OK;
  uint8_t spare = 0;
  do {
    constexpr uint64_t most = 1u << 30;
    stream.next_in = const_cast<uint8_t *>(from + in);
    stream.avail_in = std::min(packed - in, most);
    // One byte more than announced, so that a stream which is too long shows.
    stream.next_out = out < to.size() ? to.data() + out : &spare;
    stream.avail_out = out < to.size() ? std::min<uint64_t>(to.size() - out, most) : 1;
    uInt inBefore = stream.avail_in, outBefore = stream.avail_out;
    status = inflate(&stream, Z_NO_FLUSH);
    in += inBefore - stream.avail_in;
    out += outBefore - stream.avail_out;
    if (inBefore == stream.avail_in && outBefore == stream.avail_out)
      break;
  } while (status == Z_OK && out <= to.size());
  inflateEnd(&stream);
  return status == Z_STREAM_END && out == to.size();
}

// The .npy header: a Python dictionary literal with exactly the keys descr, fortran_order and shape.
class Header {
public:
  explicit Header(std::string_view text) : text(text) {}

  bool read() {
    if (!take('{'))
      return false;
    while (!take('}')) {
      std::string key;
      if (!readString(key) || !take(':'))
        return false;
      bool good = key == "descr"           ? readString(descr)
                  : key == "fortran_order" ? readBool(fortran)
                  : key == "shape"         ? readShape()
                                           : false;
      if (!good)
        return false;
      take(',');
    }
    return !descr.empty();
  }

  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;

private:
  void skipSpace() {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at])))
      ++at;
  }
  bool take(char c) {
    skipSpace();
    if (at == text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }
  bool readString(std::string &value) {
    skipSpace();
    if (at == text.size() || (text[at] != '\'' && text[at] != '"'))
      return false;
    size_t end = text.find(text[at], at + 1);
    if (end == std::string_view::npos)
      return false;
    value = text.substr(at + 1, end - at - 1);
    at = end + 1;
    return true;
  }
  bool readBool(bool &value) {
    skipSpace();
    value = text.substr(at, 4) == "True";
    if (!value && text.substr(at, 5) != "False")
      return false;
    at += value ? 4 : 5;
    return true;
  }
  bool readShape() {
    if (!take('('))
      return false;
    while (!take(')')) {
      skipSpace();
      int64_t value = 0;
      size_t digits = at;
      for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])); ++at)
        if (__builtin_mul_overflow(value, int64_t(10), &value) || __builtin_add_overflow(value, text[at] - '0', &value))
          return false;
      if (at == digits)
        return false;
      shape.push_back(value);
      take(',');
    }
    return true;
  }

  std::string_view text;
  size_t at = 0;
};

std::optional<DataType> typeOf(const std::string &descr) {
  struct Row {
    std::string_view descr;
    DataType type;
  };
  // "V": elements of a type that NumPy does not know itself.
  constexpr Row rows[] = {{"|b1", DataType::Bool}, {"|i1", DataType::I8},    {"|u1", DataType::U8},
                          {"<i2", DataType::I16},  {"<u2", DataType::U16},   {"<i4", DataType::I32},
                          {"<u4", DataType::U32},  {"<i8", DataType::I64},   {"<u8", DataType::U64},
                          {"<f2", DataType::F16},  {"<f4", DataType::F32},   {"<f8", DataType::F64},
                          {"<c8", DataType::C64},  {"<c16", DataType::C128}, {"|V1", DataType::U8},
                          {"|V2", DataType::U16},  {"<V1", DataType::U8},    {"<V2", DataType::U16}};
  for (const Row &row : rows)
    if (row.descr == descr)
      return row.type;
  return std::nullopt;
}

void toRowMajor(NpzArray &array) {
  size_t rank = array.shape.size(), element = byteSize(array.type);
  std::vector<uint8_t> result(array.bytes.size());
  std::vector<int64_t> strides(rank), index(rank, 0);
  int64_t stride = 1;
  for (size_t d = 0; d < rank; ++d) {
    strides[d] = stride;
    stride *= array.shape[d];
  }
  int64_t from = 0;
  for (size_t to = 0; to < result.size(); to += element) {
    std::memcpy(result.data() + to, array.bytes.data() + from * element, element);
    for (size_t d = rank; d-- > 0;) {
      from += strides[d];
      if (++index[d] < array.shape[d])
        break;
      from -= strides[d] * array.shape[d];
      index[d] = 0;
    }
  }
  array.bytes = std::move(result);
}

bool parseNpy(std::vector<uint8_t> bytes, NpzArray &array, std::string &why) {
  constexpr size_t preamble = 8;
  if (bytes.size() < preamble + 2 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0) {
    why = "not a NumPy array";
    return false;
  }
  size_t field = bytes[6] == 1 ? 2 : 4;
  if (bytes[6] < 1 || bytes[6] > 3 || bytes.size() < preamble + field) {
    why = "an unknown version of the .npy format";
    return false;
  }
  uint64_t length = get(bytes.data() + preamble, field), start = preamble + field + length;
  if (length > bytes.size() - preamble - field) {
    why = "its header is cut off";
    return false;
  }
  Header header({reinterpret_cast<const char *>(bytes.data()) + preamble + field, static_cast<size_t>(length)});
  if (!header.read()) {
    why = "its header cannot be read";
    return false;
  }
  std::optional<DataType> type = typeOf(header.descr);
  if (!type) {
    why = "elements of type '" + header.descr + "' are not supported";
    return false;
  }
  std::optional<int64_t> size = tensorBytes(*type, header.shape.data(), header.shape.size());
  if (!size || static_cast<uint64_t>(*size) != bytes.size() - start) {
    why = "its size is not its shape's";
    return false;
  }
  array.type = *type;
  array.shape = std::move(header.shape);
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(start));
  array.bytes = std::move(bytes);
  if (header.fortran && array.shape.size() > 1)
    toRowMajor(array);
  return true;
}

} // namespace

bool parseNpz(const uint8_t *data, size_t size, std::vector<NpzArray> &arrays, std::string &error) {
  arrays.clear();
  std::vector<Member> members;
  Directory directory(data, size);
  if (!directory.read(members)) {
    error = "not a complete .npz archive";
    return false;
  }
  // Deflate makes at most 1032 bytes of one (zlib's technical notes), so a size beyond that is a lie.
  constexpr uint64_t mostInflation = 1032;
  for (const Member &member : members) {
    auto fail = [&](const std::string &why) {
      error = "'" + member.name + "': " + why;
      return false;
    };
    uint64_t offset = 0;
    if (!directory.locate(member, offset))
      return fail("its bytes are not in the file");
    bool stored = member.method == 0;
    if ((!stored && member.method != Z_DEFLATED) || (stored && member.packed != member.size))
      return fail("neither stored nor deflated");
    if (member.size / mostInflation > member.packed)
      return fail("its size is impossible");
    NpzArray array;
    array.name = member.name;
    constexpr std::string_view suffix = ".npy";
    if (array.name.size() >= suffix.size() &&
        array.name.compare(array.name.size() - suffix.size(), suffix.size(), suffix) == 0)
      array.name.resize(array.name.size() - suffix.size());
    std::string why;
    try {
      std::vector<uint8_t> bytes(member.size);
      if (stored)
        std::copy_n(data + offset, member.size, bytes.begin());
      else if (!inflateAll(data + offset, member.packed, bytes))
        return fail("its compressed bytes are damaged");
      if (crc32_z(0, bytes.data(), bytes.size()) != member.crc)
        return fail("its checksum differs");
      if (!parseNpy(std::move(bytes), array, why))
        return fail(why);
    } catch (const std::bad_alloc &) {
      return fail("no memory for it");
    }
    arrays.push_back(std::move(array));
  }
  return true;
}

bool readNpz(const std::string &path, std::vector<NpzArray> &arrays, std::string &error) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info = {};
  void *base = MAP_FAILED;
  if (file >= 0 && ::fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
    base = ::mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  int reason = errno;
  if (file >= 0)
    ::close(file);
  if (base == MAP_FAILED) {
    error = path + ": " + (file < 0 ? std::strerror(reason) : "not a .npz archive");
    return false;
  }
  bool good = parseNpz(static_cast<const uint8_t *>(base), info.st_size, arrays, error);
  ::munmap(base, info.st_size);
  if (!good)
    error = path + ": " + error;
  return good;
}

} // namespace qcc
