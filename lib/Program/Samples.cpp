#include "qcc/Program/Samples.h"

#include <algorithm>
#include <cstring>

namespace qcc {
namespace {

const NpzArray *find(const std::vector<NpzArray> &arrays, const std::string &name) {
  for (const NpzArray &array : arrays)
    if (array.name == name || array.name == "in:" + name)
      return &array;
  return nullptr;
}

// Integers of any width.
NpzArray integers(const Manifest::Value &value, std::vector<int64_t> shape, const std::vector<int64_t> &numbers) {
  NpzArray array{value.name, value.type, std::move(shape), {}};
  size_t element = byteSize(value.type);
  array.bytes.resize(numbers.size() * element);
  for (size_t i = 0; i < numbers.size(); ++i)
    std::memcpy(&array.bytes[i * element], &numbers[i], element); // little-endian
  return array;
}

bool isCount(DataType type) { return type == DataType::I64 || type == DataType::I32; }

// What a decoder's input is when only its tokens are given: `ids` is batch x tokens, or a stack of those.
bool implied(const Manifest::Value &value, const Manifest &manifest, const NpzArray *ids, NpzArray &array) {
  if (!ids || ids->shape.size() < 2)
    return false;
  bool isMask = value.name == "attention_mask", isPositions = value.name == "position_ids";
  if ((isMask || isPositions) && value.dims.size() == 2 && isCount(value.type)) {
    size_t total = 1;
    for (int64_t dim : ids->shape)
      total *= static_cast<size_t>(dim);
    std::vector<int64_t> numbers(total, 1);
    int64_t tokens = ids->shape.back();
    if (isPositions)
      for (size_t i = 0; i < total; ++i)
        numbers[i] = static_cast<int64_t>(i) % tokens;
    array = integers(value, ids->shape, numbers);
    return true;
  }
  if (value.name.rfind("past", 0) != 0)
    return false;
  array = {value.name, value.type, {}, {}};
  std::string batch;
  for (const Manifest::Value &input : manifest.inputs)
    if (input.name == "input_ids" && !input.dims.empty())
      batch = input.dims[0].symbol;
  for (const Manifest::Dim &dim : value.dims)
    array.shape.push_back(dim.isStatic() ? dim.size : dim.symbol == batch ? ids->shape[ids->shape.size() - 2] : 0);
  return std::find(array.shape.begin(), array.shape.end(), 0) != array.shape.end();
}

} // namespace

bool Samples::read(const std::vector<std::string> &paths, const Manifest &manifest, Samples &samples,
                   std::string &error) {
  samples = Samples();
  for (const std::string &path : paths) {
    std::vector<NpzArray> arrays;
    if (!readNpz(path, arrays, error))
      return false;
    if (!samples.add(arrays, manifest, error)) {
      error = path + ": " + error;
      return false;
    }
  }
  return true;
}

bool Samples::add(const std::vector<NpzArray> &all, const Manifest &manifest, std::string &error) {
  File file;
  bool isStacked = false;
  for (const Manifest::Value &input : manifest.inputs) {
    NpzArray array;
    if (const NpzArray *given = find(all, input.name)) {
      array = *given;
    } else if (!implied(input, manifest, find(all, "input_ids"), array)) {
      error = "there is no array '" + input.name + "', which is an input of the program";
      return false;
    }
    bool stacked = array.shape.size() == input.dims.size() + 1;
    if (!stacked && array.shape.size() != input.dims.size()) {
      error = "'" + input.name + "' has " + std::to_string(array.shape.size()) + " axes, the program's input has " +
              std::to_string(input.dims.size()) + "; one more would be a stack of samples";
      return false;
    }
    if (stacked && isStacked && file.samples != static_cast<size_t>(array.shape[0])) {
      error = "'" + input.name + "' holds " + std::to_string(array.shape[0]) + " samples, another input holds " +
              std::to_string(file.samples);
      return false;
    }
    if (stacked)
      file.samples = static_cast<size_t>(array.shape[0]);
    isStacked |= stacked;
    array.name = input.name;
    file.arrays.push_back(std::move(array));
    file.stacked.push_back(stacked);
  }
  count += file.samples;
  files.push_back(std::move(file));
  return true;
}

std::vector<NpzArray> Samples::operator[](size_t index) const {
  const File *file = files.data();
  for (; index >= file->samples; ++file)
    index -= file->samples;
  std::vector<NpzArray> inputs;
  for (size_t i = 0; i < file->arrays.size(); ++i) {
    const NpzArray &array = file->arrays[i];
    if (!file->stacked[i]) {
      inputs.push_back(array);
      continue;
    }
    size_t bytes = array.bytes.size() / file->samples;
    const uint8_t *from = array.bytes.data() + bytes * index;
    inputs.push_back({array.name, array.type, {array.shape.begin() + 1, array.shape.end()}, {from, from + bytes}});
  }
  return inputs;
}

} // namespace qcc
