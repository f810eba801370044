#include "Arguments.h"
#include "qcc/Ptxemu/TensorMap.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace qcc::ptxemu;

namespace {

std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> parts(1);
  for (char c : text)
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

template <typename T> void put(uint8_t *to, T value, size_t size) {
  std::memcpy(to, &value, std::min(size, sizeof value));
}

const std::map<std::string, TensorType> mapTypes = {
    {"u8", TensorType::U8},          {"u16", TensorType::U16},     {"u32", TensorType::U32},
    {"s32", TensorType::S32},        {"u64", TensorType::U64},     {"f16", TensorType::F16},
    {"f32", TensorType::F32},        {"f64", TensorType::F64},     {"bf16", TensorType::Bf16},
    {"tf32", TensorType::Tf32},      {"u4", TensorType::U4Align8}, {"u4x16", TensorType::U4Align16},
    {"u6x16", TensorType::U6Align16}};

} // namespace

bool Arguments::place(const std::string &name, uint64_t &address, const qcc::NpzArray *&array, std::string &error) {
  auto found = std::find_if(arrays.begin(), arrays.end(), [&](const qcc::NpzArray &each) { return each.name == name; });
  if (found == arrays.end()) {
    error = "there is no array '" + name + "'";
    return false;
  }
  array = &*found;
  auto [known, isNew] = placed.try_emplace(name);
  if (isNew) {
    known->second = device.allocate(array->bytes.size());
    if (!known->second || !device.write(known->second, array->bytes.data(), array->bytes.size())) {
      error = "too little memory for the array '" + name + "'";
      return false;
    }
  }
  address = known->second;
  return true;
}

bool Arguments::addMap(const std::string &text, void *map, std::string &error) {
  std::vector<std::string> parts = split(text, ':');
  if (parts.size() < 3 || parts.size() > 4) {
    error = "a tensor map is map:NAME:BOX:SWIZZLE[:TYPE]";
    return false;
  }
  TensorMapDescription description;
  const qcc::NpzArray *array = nullptr;
  if (!place(parts[0], description.address, array, error))
    return false;
  size_t elementBytes = byteSize(array->type);
  description.type = elementBytes == 1   ? TensorType::U8
                     : elementBytes == 2 ? TensorType::U16
                     : elementBytes == 4 ? TensorType::U32
                                         : TensorType::U64;
  unsigned perByte = 1; // elements
  if (parts.size() == 4) {
    auto type = mapTypes.find(parts[3]);
    if (type == mapTypes.end()) {
      error = "no tensor map has the type '" + parts[3] + "'";
      return false;
    }
    description.type = type->second;
    perByte = type->second == TensorType::U4Align8 || type->second == TensorType::U4Align16 ? 2 : 1;
  }
  std::vector<std::string> box = split(parts[1], 'x');
  description.rank = static_cast<uint32_t>(array->shape.size());
  if (box.size() != array->shape.size() || box.empty() || box.size() > 5) {
    error = "the box of '" + parts[0] + "' needs as many dimensions as the array has";
    return false;
  }
  uint64_t stride = elementBytes;
  for (size_t dim = 0; dim < box.size(); ++dim) {
    description.box[dim] = static_cast<uint32_t>(std::strtoul(box[dim].c_str(), nullptr, 10));
    uint64_t extent = static_cast<uint64_t>(array->shape[box.size() - 1 - dim]);
    description.dims[dim] = dim == 0 ? extent * perByte : extent;
    stride *= extent;
    if (dim < 4)
      description.strides[dim] = stride;
  }
  description.swizzle = parts[2] == "32"    ? TensorSwizzle::Bytes32
                        : parts[2] == "64"  ? TensorSwizzle::Bytes64
                        : parts[2] == "128" ? TensorSwizzle::Bytes128
                                            : TensorSwizzle::None;
  return encodeTensorMap(description, map, error);
}

bool Arguments::add(const std::string &text, const Parameter &parameter, std::string &error) {
  bytes.resize(std::max<size_t>(bytes.size(), parameter.offset + parameter.size));
  uint8_t *to = bytes.data() + parameter.offset;
  size_t colon = std::min(text.find(':'), text.size());
  std::string kind = text.substr(0, colon), value = text.substr(std::min(colon + 1, text.size()));
  if (kind == "map") {
    alignas(64) uint8_t map[tensorMapBytes];
    if (parameter.size != tensorMapBytes)
      error = "the parameter is no tensor map";
    if (!error.empty() || !addMap(value, map, error))
      return false;
    std::memcpy(to, map, sizeof map);
    return true;
  }
  if (kind == "ptr") {
    uint64_t address = 0;
    const qcc::NpzArray *array = nullptr;
    size_t plus = std::min(value.find('+'), value.size());
    if (!place(value.substr(0, plus), address, array, error))
      return false;
    if (plus < value.size())
      address += std::strtoull(value.c_str() + plus + 1, nullptr, 0);
    put(to, address, parameter.size);
  } else if (kind == "f32") {
    put(to, std::strtof(value.c_str(), nullptr), parameter.size);
  } else if (kind == "f64") {
    put(to, std::strtod(value.c_str(), nullptr), parameter.size);
  } else if (kind == "i8" || kind == "i16" || kind == "i32" || kind == "i64" || kind == "u32" || kind == "u64") {
    put(to, std::strtoull(value.c_str(), nullptr, 0), parameter.size);
  } else {
    error = "'" + text + "' is no argument";
    return false;
  }
  return true;
}

void Arguments::download() {
  for (qcc::NpzArray &array : arrays)
    if (auto found = placed.find(array.name); found != placed.end())
      device.read(array.bytes.data(), found->second, array.bytes.size());
}
