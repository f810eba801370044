#include "qcc/Artifact/Zip.h"
#include "qcc/Npz/Npz.h"

#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace qcc {
namespace {

std::string_view descrOf(DataType type) {
  switch (type) {
  case DataType::Bool:
    return "|b1";
  case DataType::I8:
  case DataType::I4:
  case DataType::I2:
    return "|i1";
  case DataType::I16:
    return "<i2";
  case DataType::I32:
    return "<i4";
  case DataType::U32:
    return "<u4";
  case DataType::I64:
    return "<i8";
  case DataType::U64:
    return "<u8";
  case DataType::F16:
    return "<f2";
  case DataType::F32:
    return "<f4";
  case DataType::F64:
    return "<f8";
  case DataType::C64:
    return "<c8";
  case DataType::C128:
    return "<c16";
  default:
    return byteSize(type) == 1 ? "|u1" : "<u2";
  }
}

// The .npy preamble and header, a multiple of 64 bytes long.
std::string npyHeader(const NpzArray &array) {
  std::string shape;
  for (int64_t dim : array.shape)
    shape += std::to_string(dim) + ", ";
  std::string text =
      "{'descr': '" + std::string(descrOf(array.type)) + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  while ((text.size() + 11) % 64)
    text += ' ';
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

} // namespace

bool writeNpz(const std::string &path, const std::vector<NpzArray> &arrays, std::string &error) {
  std::string temporary = path + "." + std::to_string(::getpid()) + ".part";
  std::FILE *file = std::fopen(temporary.c_str(), "wbxe");
  if (!file) {
    error = path + ": " + std::strerror(errno);
    return false;
  }
  uint64_t position = 0;
  bool good = true;
  auto put = [&](const void *data, size_t size) {
    good = good && (size == 0 || std::fwrite(data, 1, size, file) == size);
    position += size;
  };
  std::vector<zip::Entry> entries;
  for (const NpzArray &array : arrays) {
    std::string header = npyHeader(array);
    zip::Entry entry;
    entry.name = array.name + ".npy";
    entry.header = position;
    entry.size = header.size() + array.bytes.size();
    uLong crc = crc32_z(0, reinterpret_cast<const Bytef *>(header.data()), header.size());
    if (!array.bytes.empty())
      crc = crc32_z(crc, array.bytes.data(), array.bytes.size());
    entry.crc = static_cast<uint32_t>(crc);
    std::vector<uint8_t> local = zip::localHeader(entry);
    put(local.data(), local.size());
    put(header.data(), header.size());
    put(array.bytes.data(), array.bytes.size());
    entries.push_back(std::move(entry));
  }
  std::vector<uint8_t> directory = zip::directory(entries, position);
  put(directory.data(), directory.size());
  good = std::fclose(file) == 0 && good;
  if (good && std::rename(temporary.c_str(), path.c_str()) == 0)
    return true;
  error = path + ": cannot write: " + std::strerror(errno);
  ::unlink(temporary.c_str());
  return false;
}

} // namespace qcc
