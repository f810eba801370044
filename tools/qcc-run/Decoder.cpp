#include "Decoder.h"

#include <cstring>

namespace qcc {
namespace {

constexpr const char *idsName = "input_ids";
constexpr const char *maskName = "attention_mask";
constexpr const char *positionsName = "position_ids";

NpzArray integers(const Manifest::Value &value, const std::vector<int64_t> &numbers) {
  NpzArray array{value.name, value.type, {1, static_cast<int64_t>(numbers.size())}, {}};
  size_t element = byteSize(value.type);
  array.bytes.resize(numbers.size() * element);
  for (size_t i = 0; i < numbers.size(); ++i)
    std::memcpy(&array.bytes[i * element], &numbers[i], element); // little-endian
  return array;
}

// "past_key_values.0.key" → "present.0.key", "past_0" → "present_0"; empty for other names.
std::string presentName(const std::string &name) {
  for (const char *prefix : {"past_key_values", "past"})
    if (name.rfind(prefix, 0) == 0)
      return "present" + name.substr(std::strlen(prefix));
  return {};
}

} // namespace

bool Decoder::check(std::string &error) {
  const Manifest &manifest = program.manifest();
  cache.clear();
  bool ids = false;
  for (const Manifest::Value &value : manifest.inputs) {
    if (value.name == idsName || value.name == maskName || value.name == positionsName) {
      ids |= value.name == idsName;
      if (value.dims.size() != 2 || (value.type != DataType::I64 && value.type != DataType::I32)) {
        error = "input '" + value.name + "' is not integers of [batch, tokens]";
        return false;
      }
      continue;
    }
    std::string present = presentName(value.name);
    bool paired = false;
    for (const Manifest::Value &output : manifest.outputs)
      paired |= output.name == present;
    if (!paired) {
      error = "input '" + value.name + "' is not one that a decoder has";
      return false;
    }
    cache.push_back({value.name, present, {}});
  }
  for (const Manifest::Value &value : manifest.outputs)
    if (value.type == DataType::F32 && value.dims.size() == 3 && (logitsName.empty() || value.name == "logits"))
      logitsName = value.name;
  if (!ids || logitsName.empty()) {
    error = std::string("the model has no ") + (ids ? "float32 logits of [batch, tokens, vocabulary]" : "'input_ids'");
    return false;
  }
  if (cache.empty() && manifest.states.empty()) {
    error = "the model keeps no key/value cache";
    return false;
  }
  reset();
  return true;
}

void Decoder::reset() {
  program.reset();
  seen = 0;
  last.clear();
  const Manifest &manifest = program.manifest();
  std::string batch;
  for (const Manifest::Value &value : manifest.inputs)
    if (value.name == idsName && !value.dims[0].isStatic())
      batch = value.dims[0].symbol;
  for (Pair &pair : cache)
    for (const Manifest::Value &value : manifest.inputs)
      if (value.name == pair.input) {
        pair.contents = {value.name, value.type, {}, {}};
        for (const Manifest::Dim &dim : value.dims)
          pair.contents.shape.push_back(dim.isStatic() ? dim.size : dim.symbol == batch ? 1 : 0);
      }
}

bool Decoder::feed(const std::vector<int64_t> &tokens, std::string &error) {
  std::vector<NpzArray> arrays;
  const int64_t count = static_cast<int64_t>(tokens.size());
  for (const Manifest::Value &value : program.manifest().inputs) {
    if (value.name == idsName) {
      arrays.push_back(integers(value, tokens));
    } else if (value.name == maskName) {
      arrays.push_back(integers(value, std::vector<int64_t>(seen + count, 1)));
    } else if (value.name == positionsName) {
      std::vector<int64_t> positions;
      for (int64_t i = 0; i < count; ++i)
        positions.push_back(seen + i);
      arrays.push_back(integers(value, positions));
    }
  }
  std::vector<DLTensor> tensors;
  std::vector<qcc1_input> inputs;
  std::vector<std::string> outputs = {logitsName};
  for (const Pair &pair : cache)
    outputs.push_back(pair.output);
  tensors.reserve(arrays.size() + cache.size());
  auto pass = [&](const NpzArray &array) {
    tensors.push_back(viewOf(array));
    inputs.push_back({array.name.c_str(), &tensors.back()});
  };
  for (const NpzArray &array : arrays)
    pass(array);
  for (const Pair &pair : cache)
    pass(pair.contents);
  std::vector<TensorHandle> results;
  if (!program.run(inputs, outputs, results, error))
    return false;
  for (size_t i = 0; i < cache.size(); ++i)
    cache[i].contents = arrayOf(cache[i].input, results[1 + i]->dl_tensor);
  const DLTensor &logits = results[0]->dl_tensor;
  if (logits.shape[0] < 1 || logits.shape[1] < 1 || logits.shape[2] < 1) {
    error = "the model gave no logits";
    return false;
  }
  int64_t vocabulary = logits.shape[2];
  const float *row = static_cast<const float *>(logits.data) + (logits.shape[1] - 1) * vocabulary;
  last.assign(row, row + vocabulary);
  seen += count;
  return true;
}

} // namespace qcc
