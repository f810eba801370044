// What an artifact says about itself: `manifest.json`.
#ifndef QCC_ARTIFACT_MANIFEST_H
#define QCC_ARTIFACT_MANIFEST_H

#include "qcc/Artifact/DataType.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qcc {

struct Manifest {
  // A size known when the model was compiled, or a symbol bound at run time. In JSON a number or a string.
  struct Dim {
    int64_t size = -1; // -1: known at run time
    std::string symbol;
    Dim() = default;
    Dim(int64_t size) : size(size) {}
    Dim(std::string symbol) : symbol(std::move(symbol)) {}
    bool isStatic() const { return size >= 0; }
    bool operator==(const Dim &other) const { return size == other.size && symbol == other.symbol; }
  };

  struct Value {
    std::string name;
    DataType type = DataType::F32;
    std::vector<Dim> dims;
  };

  // A pair of the model's values, input and output, that the session keeps instead: a cache that each run appends to
  // along `axis`. It is neither in `inputs` nor in `outputs`. The dimension at `axis` counts what is stored; any other
  // symbolic one is bound by the input that has a dimension of the same symbol.
  struct State {
    std::string input, output;
    DataType type = DataType::F32;
    std::vector<Dim> dims;
    int64_t axis = 0;
    // The format that it is stored in; empty where that is the model's own type. Where the format has scales, elements
    // are bytes and the last dimension is those of a row.
    std::string format = {};
  };

  // One code object. `features` are the CPU features it needs, as LLVM spells them ("avx512vnni", "dotprod"). Where the
  // program runs on a device, `entry` is its host part and `device` says what runs there.
  struct Target {
    // Code for a device, in order of preference: the first module that the device runs is taken.
    struct Module {
      std::string architecture; // "sm_90a", "sm_80", "sm_120f"
      std::string kind;         // "ptx" or "cubin"
      std::string entry;
    };
    struct Device {
      std::string kind = {}; // "cuda"; empty: the program runs on the processor
      std::vector<Module> modules = {};
    };
    std::string name;
    std::vector<std::string> features;
    std::string entry;
    Device device = {};
    bool isForDevice() const { return !device.kind.empty(); }
  };

  // A stored tensor: `bytes` at `offset` from the start of the weights' data section.
  struct Tensor {
    std::string name, format, layout;
    std::vector<int64_t> shape;
    int64_t offset = 0, bytes = 0;
    bool streamed = true; // every run reads all of it, as matrices are and lookup tables are not
  };

  // A part of the file and its hash. Filled by the writer.
  struct Entry {
    std::string name;
    int64_t bytes = 0;
    std::string sha256;
  };

  static constexpr int64_t currentVersion = 1;

  std::string qccVersion;
  std::string modelName, modelHash;
  std::vector<Target> targets; // the first that the machine supports is taken
  std::vector<Value> inputs, outputs;
  std::vector<State> states;
  std::vector<std::string> nodes; // run-time errors name nodes[error - 1]
  std::vector<Tensor> tensors;
  std::vector<Entry> entries;
  // JSON text of any shape; empty for none.
  std::string plan, quality, provenance;

  const Entry *findEntry(std::string_view name) const;

  std::string toJson() const;
  // Checks everything that the text alone can contradict (types, signs, ranges, an axis beyond the rank, two values of
  // one name); what depends on the file's other parts is the reader's to check. On failure nullopt, and `error` says
  // where.
  static std::optional<Manifest> parse(std::string_view json, std::string &error);
};

// The number of bytes of `type` elements in `dims`; nullopt for a negative dimension or 2^62 bytes and more.
std::optional<int64_t> tensorBytes(DataType type, const int64_t *dims, size_t rank);

} // namespace qcc

#endif // QCC_ARTIFACT_MANIFEST_H
