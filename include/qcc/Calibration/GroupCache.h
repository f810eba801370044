// What methods have made of groups, kept in a folder under a hash of all that it depends on.
#pragma once

#include "qcc/Calibration/MethodGroup.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"

namespace qcc {

/// A group's key says what the program was before any method ran (operations and constants), the data, and what was
/// asked for of this group and of all before it: their results decide what it reads. It says nothing of targets.
class GroupCache {
public:
  /// Makes the folder where it is not there. `salt`: what else results depend on, such as the compiler itself.
  static llvm::Expected<GroupCache> open(llvm::StringRef folder, llvm::StringRef salt);

  /// Before the first group: the program as it is, and the data.
  void start(mlir::ModuleOp module, const Samples &samples);
  /// The key of the next group in order; `asked` is what formats and methods its operations have.
  std::string next(llvm::StringRef asked);
  /// A key that tells nothing of groups before.
  std::string keyOf(llvm::StringRef asked) const;

  /// The result that is kept for a part of a group; nothing where there is none. A file that has been altered is passed
  /// over with a warning.
  std::optional<GroupResult> load(llvm::StringRef key, const Format &format, llvm::ArrayRef<int64_t> rows,
                                  int64_t columns, mlir::Location loc) const;
  /// Written under a temporary name and renamed. What cannot be kept is a warning.
  void store(llvm::StringRef key, const GroupResult &result, mlir::Location loc) const;

  /// The same for numbers, of which so many are expected.
  std::optional<std::vector<double>> loadNumbers(llvm::StringRef key, size_t count) const;
  void storeNumbers(llvm::StringRef key, llvm::ArrayRef<double> numbers, mlir::Location loc) const;

private:
  std::string pathOf(llvm::StringRef key) const;

  std::string folder, salt;
  std::string chain; // hash of everything up to the last group
};

/// A hash in hexadecimal of pieces of bytes, told apart by their lengths.
class ContentHash {
public:
  void add(llvm::StringRef bytes);
  std::string result() { return llvm::toHex(hasher.final<32>(), /*LowerCase=*/true); }

private:
  llvm::BLAKE3 hasher;
};

} // namespace qcc
