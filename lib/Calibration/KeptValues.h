// Values of a program between its pieces, for every sample.
#pragma once

#include "mlir/IR/Value.h"
#include "qcc/Calibration/Calibration.h"

namespace qcc {

/// Arrays by value and sample. Those of values that would take more memory than `inMemory` in all stand in files that
/// have no name.
class KeptValues {
public:
  KeptValues() = default;
  ~KeptValues();
  KeptValues(const KeptValues &) = delete;
  KeptValues &operator=(const KeptValues &) = delete;

  static constexpr size_t inMemory = size_t(128) << 20;

  /// Arrays of a value come in the order of samples.
  llvm::Error add(mlir::Value value, NpzArray array);
  llvm::Expected<NpzArray> get(mlir::Value value, size_t sample) const;
  bool has(mlir::Value value) const { return entries.count(value); }
  /// Leaves out the values for which `isNeeded` does not hold.
  void prune(llvm::function_ref<bool(mlir::Value)> isNeeded);

private:
  struct Entry {
    std::vector<NpzArray> arrays; // without their bytes where these are in the file
    std::vector<std::pair<int64_t, size_t>> places;
    int file = -1;
    int64_t fileBytes = 0;
  };
  void drop(Entry &entry);

  llvm::DenseMap<mlir::Value, Entry> entries;
  size_t held = 0; // bytes in memory
};

} // namespace qcc
