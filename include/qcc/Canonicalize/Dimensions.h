// Symbolic dimensions: lengths that are known when a program runs, as affine expressions over dimension symbols.
#pragma once

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringMap.h"
#include <string>

namespace qcc {

/// A length: a constant or an expression over the program's dimension symbols.
using Dim = mlir::AffineExpr;

/// The dimension symbols of one program, and arithmetic on dimensions.
///
/// What affine expressions cannot say becomes a further symbol with a definition (`max`, `select`), made once per
/// distinct definition, so that equal lengths stay the same expression. A `Runtime` symbol is only known while the
/// program runs; every other one is known when it starts.
class Dimensions {
public:
  enum class Kind {
    Input,      // a dimension of a program input; operands: none
    Max,        // max(a, b)
    Min,        // min(a, b)
    IfEqual,    // a == b ? c : d
    IfNegative, // a < 0 ? b : c
    FloorDiv,   // a / b rounded down, b not constant; 0 when b is 0
    Runtime     // read from a tensor while the program runs; operands: none
  };
  struct Symbol {
    Kind kind;
    std::string name; // of an input's dimension, or a hint
    llvm::SmallVector<Dim> operands;
  };

  explicit Dimensions(mlir::MLIRContext *context) : context(context) {}

  /// Reads the symbols that `store` left in the module's attribute `onnx.symbols`.
  static mlir::FailureOr<Dimensions> load(mlir::ModuleOp module);
  void store(mlir::ModuleOp module) const;

  Dim constant(int64_t value) const { return mlir::getAffineConstantExpr(value, context); }
  /// The symbol of an input dimension; the same name gives the same symbol, an empty name a fresh one.
  Dim input(llvm::StringRef name);
  Dim runtime(llvm::StringRef hint);
  /// The meaning of a dimension's text in a model: an expression of names, integers, `+ - * / ( )`, or else a name as a
  /// whole.
  Dim parse(llvm::StringRef text);

  Dim add(Dim a, Dim b) const;
  Dim sub(Dim a, Dim b) const;
  Dim mul(Dim a, Dim b) const;
  /// a / b rounded down; common factors are cancelled, so that it is exact where a is a multiple of b.
  Dim floorDiv(Dim a, Dim b);
  Dim ceilDiv(Dim a, int64_t b) const;
  Dim mod(Dim a, int64_t b) const;
  Dim max(Dim a, Dim b);
  Dim min(Dim a, Dim b);
  Dim ifEqual(Dim a, Dim b, Dim then, Dim otherwise);
  Dim ifNegative(Dim a, Dim then, Dim otherwise);
  /// The common length of two dimensions under ONNX's broadcasting.
  Dim broadcast(Dim a, Dim b);
  Dim product(llvm::ArrayRef<Dim> dims) const;

  /// `dim` with `by` in place of a symbol.
  Dim replace(Dim dim, Dim symbol, Dim by) const { return simplify(dim.replace(symbol, by)); }
  /// The definitions of symbols read `by`, an expression of inputs' dimensions, in place of an input's dimension.
  void replaceInDefinitions(Dim symbol, Dim by);

  llvm::ArrayRef<Symbol> symbols() const { return table; }
  /// Whether the value is only known while the program runs.
  bool isRuntime(Dim dim) const;
  /// Whether the dimension cannot be negative whatever the inputs' lengths are.
  bool isNonNegative(Dim dim) const;
  /// Whether a <= b whatever the inputs' lengths are.
  bool isAtMost(Dim a, Dim b, int depth = 0) const;
  /// Whether `cut` is the length of what is cut to `length`, and shorter only where a table ends.
  bool isCut(Dim cut, Dim length) const;

  /// The length where the symbols of inputs have the values that `bound` gives; nothing when it is not known before the
  /// program runs, or too large.
  std::optional<int64_t> evaluate(Dim dim, llvm::function_ref<std::optional<int64_t>(unsigned)> bound) const;

  mlir::AffineMap map(llvm::ArrayRef<Dim> dims) const;
  /// A ranked tensor type of these dimensions; the encoding is left out when all are constants.
  mlir::RankedTensorType tensor(llvm::ArrayRef<Dim> dims, mlir::Type element) const;

private:
  Dim derived(Kind kind, llvm::ArrayRef<Dim> operands);
  /// What `use` makes of a number that is one of two constants by a condition: the choice between its two results. Null
  /// for other numbers.
  Dim throughChoice(Dim choice, llvm::function_ref<Dim(Dim)> use);
  Dim simplify(Dim dim) const;
  const Symbol *symbolOf(Dim dim, Kind kind) const;

  struct Facts {
    bool runtime = false, nonNegative = false;
  };
  const Facts &factsOf(unsigned position) const;

  mlir::MLIRContext *context;
  llvm::SmallVector<Symbol> table;
  mutable llvm::SmallVector<Facts> facts; // of the first symbols of the table
  llvm::StringMap<unsigned> inputs;
};

/// Marks an argument of `main` as the state of that number, and the result that extends it.
inline constexpr llvm::StringLiteral stateAttr = "qnt.state";
/// On such an argument: an affine map to the number of positions that its storage has room for.
inline constexpr llvm::StringLiteral capacityAttr = "qnt.capacity";
/// On such an argument: the axis that is appended to.
inline constexpr llvm::StringLiteral stateAxisAttr = "qnt.axis";
/// On such an argument: the format that its storage is in, where that is not the argument's own type. The last axis is
/// a row of the format.
inline constexpr llvm::StringLiteral stateFormatAttr = "qnt.format";
/// The axis of keys or values (batch, heads, positions, size) that is appended to.
inline constexpr unsigned positionAxis = 2;

/// The value of a constant dimension.
std::optional<int64_t> constantOf(Dim dim);

/// The dimensions of a ranked tensor type made by `Dimensions::tensor`.
llvm::SmallVector<Dim> dimsOf(mlir::Type type);

} // namespace qcc
