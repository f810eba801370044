#include "qcc/Calibration/GroupCache.h"
#include "dialects/onnx/Onnx.h"
#include "qcc/Operator/Node.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace qcc;

void ContentHash::add(StringRef bytes) {
  uint64_t size = bytes.size();
  hasher.update(ArrayRef(reinterpret_cast<const uint8_t *>(&size), sizeof size));
  hasher.update(bytes);
}

llvm::Expected<GroupCache> GroupCache::open(StringRef folder, StringRef salt) {
  if (auto error = llvm::sys::fs::create_directories(folder))
    return llvm::createStringError("cannot make the folder '" + folder + "': " + error.message());
  GroupCache cache;
  cache.folder = folder.str(), cache.salt = salt.str();
  return cache;
}

/// The operations without what a method or a format has to do with, as text.
static std::string textOf(ModuleOp module) {
  OwningOpRef<ModuleOp> plain = floatCopy(module);
  std::string text;
  llvm::raw_string_ostream os(text);
  plain->print(os, OpPrintingFlags().elideLargeElementsAttrs(0).elideLargeResourceString(0));
  return text;
}

void GroupCache::start(ModuleOp module, const Samples &samples) {
  ContentHash hash;
  hash.add(salt);
  hash.add(textOf(module));
  module.walk([&](Operation *op) {
    if (isa<onnx::WeightOp, qnt::WeightOp>(op))
      if (auto tensor = constantOf(op->getResult(0)))
        hash.add({tensor->bytes.data(), tensor->bytes.size()});
  });
  for (size_t sample = 0; sample < samples.size(); ++sample)
    for (const NpzArray &array : samples[sample]) {
      std::string type = array.name + " " + std::string(name(array.type));
      for (int64_t size : array.shape)
        type += " " + std::to_string(size);
      hash.add(type);
      hash.add({reinterpret_cast<const char *>(array.bytes.data()), array.bytes.size()});
    }
  chain = hash.result();
}

std::string GroupCache::keyOf(StringRef asked) const {
  ContentHash hash;
  hash.add(chain);
  hash.add(asked);
  return hash.result();
}

std::string GroupCache::next(StringRef asked) { return chain = keyOf(asked); }

std::string GroupCache::pathOf(StringRef key) const {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, key + ".npz");
  return path.str().str();
}

namespace {
/// Arrays by their names.
struct Arrays {
  std::vector<NpzArray> arrays;

  template <typename Number> void add(const std::string &name, DataType type, llvm::ArrayRef<Number> numbers) {
    const auto *bytes = reinterpret_cast<const uint8_t *>(numbers.data());
    arrays.push_back(
        {name, type, {int64_t(numbers.size())}, std::vector<uint8_t>(bytes, bytes + numbers.size() * sizeof(Number))});
  }
  /// Whether the array is there and has so many numbers.
  template <typename Number>
  bool take(const std::string &name, DataType type, int64_t count, std::vector<Number> &numbers) const {
    auto it = llvm::find_if(arrays, [&](const NpzArray &array) { return array.name == name; });
    if (it == arrays.end() || it->type != type || it->bytes.size() != size_t(count) * sizeof(Number))
      return false;
    numbers.resize(size_t(count));
    memcpy(numbers.data(), it->bytes.data(), it->bytes.size());
    return true;
  }
  bool has(const std::string &name) const {
    return llvm::any_of(arrays, [&](const NpzArray &array) { return array.name == name; });
  }
};
} // namespace

void GroupCache::store(StringRef key, const GroupResult &result, Location loc) const {
  Arrays out;
  out.add("key", DataType::U8, ArrayRef(key.bytes_begin(), key.size()));
  if (!result.inverseScales.empty())
    out.add("inverse_scales", DataType::F32, ArrayRef(result.inverseScales));
  for (auto [i, weight] : llvm::enumerate(result.weights)) {
    std::string prefix = std::to_string(i) + ".";
    if (weight.codes) {
      out.add(prefix + "codes", DataType::U8, ArrayRef(weight.codes->codes));
      out.add(prefix + "scales", DataType::U8, ArrayRef(weight.codes->scales));
      out.add(prefix + "zeros", DataType::U8, ArrayRef(weight.codes->zeros));
      out.add(prefix + "tensor_scale", DataType::F32, ArrayRef(weight.codes->tensorScale));
      out.add(prefix + "signal_to_noise", DataType::F64, ArrayRef(weight.signalToNoise));
    } else if (!weight.rows.empty()) {
      out.add(prefix + "rows", DataType::F32, ArrayRef(weight.rows));
    }
  }
  std::string error;
  if (!writeNpz(pathOf(key), out.arrays, error))
    emitWarning(loc) << "is not kept for another time: " << error;
}

/// Reads what `store` has written; false where it is anything else.
static bool read(const Arrays &in, StringRef key, const Format &format, ArrayRef<int64_t> rows, int64_t columns,
                 GroupResult &result) {
  std::vector<uint8_t> own;
  if (!in.take("key", DataType::U8, int64_t(key.size()), own) || !std::equal(own.begin(), own.end(), key.bytes_begin()))
    return false;
  if (in.has("inverse_scales") && !in.take("inverse_scales", DataType::F32, columns, result.inverseScales))
    return false;
  for (auto [i, count] : llvm::enumerate(rows)) {
    std::string prefix = std::to_string(i) + ".";
    GroupResult::Weight &weight = result.weights.emplace_back();
    if (!in.has(prefix + "codes")) {
      if (in.has(prefix + "rows") && !in.take(prefix + "rows", DataType::F32, count * columns, weight.rows))
        return false;
      continue;
    }
    int64_t blocks = format.rowBlocks(count) * format.columnBlocks(columns);
    EncodedMatrix &codes = weight.codes.emplace();
    codes.rows = count, codes.columns = columns;
    std::vector<float> tensorScale;
    std::vector<double> signalToNoise;
    if (!in.take(prefix + "codes", DataType::U8, count * format.rowCodeBytes(columns), codes.codes) ||
        !in.take(prefix + "scales", DataType::U8, blocks * (format.scale->bits() / 8), codes.scales) ||
        !in.take(prefix + "zeros", DataType::U8, format.hasZero ? blocks : 0, codes.zeros) ||
        !in.take(prefix + "tensor_scale", DataType::F32, 1, tensorScale) ||
        !in.take(prefix + "signal_to_noise", DataType::F64, 1, signalToNoise))
      return false;
    codes.tensorScale = tensorScale[0], weight.signalToNoise = signalToNoise[0];
  }
  return true;
}

std::optional<GroupResult> GroupCache::load(StringRef key, const Format &format, ArrayRef<int64_t> rows,
                                            int64_t columns, Location loc) const {
  std::string path = pathOf(key), error;
  if (!llvm::sys::fs::exists(path))
    return std::nullopt;
  Arrays in;
  GroupResult result;
  if (readNpz(path, in.arrays, error) && read(in, key, format, rows, columns, result))
    return result;
  emitWarning(loc) << "is quantized anew: '" << path << "' is damaged" << (error.empty() ? "" : ": " + error);
  return std::nullopt;
}

std::optional<std::vector<double>> GroupCache::loadNumbers(StringRef key, size_t count) const {
  Arrays in;
  std::string error;
  std::vector<double> numbers;
  if (!readNpz(pathOf(key), in.arrays, error) || !in.take("numbers", DataType::F64, int64_t(count), numbers))
    return std::nullopt;
  return numbers;
}

void GroupCache::storeNumbers(StringRef key, ArrayRef<double> numbers, Location loc) const {
  Arrays out;
  out.add("numbers", DataType::F64, numbers);
  std::string error;
  if (!writeNpz(pathOf(key), out.arrays, error))
    emitWarning(loc) << "is not kept for another time: " << error;
}
