// A kernel under construction: one function that computes a range of units.
#pragma once

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "qcc/Canonicalize/Dimensions.h"
#include "llvm/ADT/DenseMap.h"

namespace qcc {

/// Of a device's kernel whose threads compute a unit together: how many, and the bytes of dynamic shared memory they
/// use.
inline constexpr llvm::StringLiteral blockThreadsAttr = "tile.threads";
inline constexpr llvm::StringLiteral sharedBytesAttr = "tile.shared_bytes";
/// Of one of which a device runs a block on each multiprocessor, that computes many units.
inline constexpr llvm::StringLiteral persistentAttr = "tile.persistent";
/// What `--dump-kernels-to` writes beside a kernel's code.
inline constexpr llvm::StringLiteral noteAttr = "tile.note";

class Lowering;
class Kernel;

/// A position in a tensor: coordinates, or the row-major element number, or both. What is asked for and not there is
/// computed from the other.
class Index {
public:
  Index(llvm::ArrayRef<Dim> dims, mlir::ValueRange coordinates, mlir::Value linear = {})
      : dims(dims), coordinates(coordinates), number(linear) {}
  Index(llvm::ArrayRef<Dim> dims, mlir::Value linear) : dims(dims), number(linear) {}

  llvm::ArrayRef<Dim> shape() const { return dims; }
  llvm::SmallVector<mlir::Value> coords(Kernel &kernel) const;
  mlir::Value linear(Kernel &kernel) const;
  bool hasLinear() const { return bool(number); }

private:
  llvm::SmallVector<Dim> dims;
  llvm::SmallVector<mlir::Value> coordinates;
  mlir::Value number;
};

/// Emits the body of a function `void(i64 lo, i64 hi, pointers and integers...)` that computes the units [lo, hi), then
/// launches it. Equal kernels become one function. Integers are i64; elements are in the compute type of their element
/// type (`Numbers.h`).
class Kernel {
public:
  Kernel(Lowering &lowering, llvm::StringRef name, mlir::Location loc);
  ~Kernel();

  mlir::ImplicitLocOpBuilder b; // inserts into the body
  Lowering &lowering;

  mlir::Value lo() const;
  mlir::Value hi() const;

  // Scalars.
  mlir::Value constant(int64_t value);
  mlir::Value constantF32(float value);
  /// The same integer, of which code generation knows nothing: a loop of so many iterations stays one.
  mlir::Value opaque(mlir::Value value);
  /// A dimension's value; unless constant, an argument of the kernel.
  mlir::Value dim(Dim dim);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value div(mlir::Value a, mlir::Value b);   // of non-negative numbers
  mlir::Value rem(mlir::Value a, mlir::Value b);   // of non-negative numbers
  mlir::Value min(mlir::Value a, mlir::Value b);   // signed
  mlir::Value max(mlir::Value a, mlir::Value b);   // signed
  mlir::Value less(mlir::Value a, mlir::Value b);  // signed, i1
  mlir::Value equal(mlir::Value a, mlir::Value b); // i1
  mlir::Value both(mlir::Value a, mlir::Value b);  // of i1
  mlir::Value select(mlir::Value condition, mlir::Value then, mlir::Value otherwise);

  // Control.
  /// for i in [from, to): body(i)
  void loop(mlir::Value from, mlir::Value to, llvm::function_ref<void(mlir::Value)> body, int64_t step = 1);
  /// The same with carried values; returns the last ones.
  llvm::SmallVector<mlir::Value>
  loop(mlir::Value from, mlir::Value to, mlir::ValueRange init,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)> body, int64_t step = 1);
  /// A loop nest over all of `dims`.
  void nest(llvm::ArrayRef<Dim> dims, llvm::function_ref<void(llvm::ArrayRef<mlir::Value>)> body);
  /// condition ? then() : otherwise(), evaluating one of them.
  mlir::Value branch(mlir::Value condition, llvm::function_ref<mlir::Value()> then,
                     llvm::function_ref<mlir::Value()> otherwise);
  void when(mlir::Value condition, llvm::function_ref<void()> then);
  /// Notes the node as failed when `condition` is false; the program ends with an error that names it. The caller must
  /// clamp what the check guards.
  void check(mlir::Value condition);

  // Memory.
  /// The storage of a tensor as an argument; a producer that is computed in place is made to be stored first.
  mlir::Value pointer(mlir::Value tensor);
  /// An argument of the kernel with the host's value; equal values share one argument.
  mlir::Value argument(mlir::Value host);
  /// The element at an index; computes it in place when the producer was fused.
  mlir::Value load(mlir::Value tensor, const Index &index);
  mlir::Value load(mlir::Value tensor, llvm::ArrayRef<mlir::Value> coordinates);
  /// Stores an element, or what the tensor's epilogues make of it.
  void store(mlir::Value tensor, const Index &index, mlir::Value value);
  void store(mlir::Value tensor, llvm::ArrayRef<mlir::Value> coordinates, mlir::Value value);
  /// Access to raw storage: element `index` of an array of `element` at `base`.
  mlir::Value loadAt(mlir::Value base, mlir::Value index, mlir::Type element);
  void storeAt(mlir::Value base, mlir::Value index, mlir::Type element, mlir::Value value);
  /// storage[to] = tensor[from], in the storage type: nothing is converted unless the tensor is computed in place.
  void move(mlir::Value tensor, const Index &from, mlir::Value storage, mlir::Value to);
  /// `bytes` bytes of the executing thread's own storage; each call gives another part of it.
  mlir::Value threadScratch(int64_t bytes);

  mlir::Value linearize(llvm::ArrayRef<mlir::Value> coordinates, llvm::ArrayRef<Dim> dims);
  llvm::SmallVector<mlir::Value> delinearize(mlir::Value linear, llvm::ArrayRef<Dim> dims);
  /// The index of `shape` that ONNX's broadcasting reads for `index`, whose shape it is broadcast to.
  Index broadcastIndex(const Index &index, llvm::ArrayRef<Dim> shape);

  /// On a device: `threads` threads compute each unit together, which call the body alike.
  void cooperate(int64_t threads, int64_t sharedBytes);
  /// The same, and as many blocks as the device has multiprocessors, at most, compute all units [lo, hi): `lo` is the
  /// block's first one, and the next ones are as many units away as there are blocks.
  void persist();
  /// Says why the kernel is as it is.
  void note(llvm::StringRef text);

  /// Ends the kernel and launches it over `units` units; `work` estimates the scalar operations of all of them.
  void launch(Dim units, Dim work);
  void launch(mlir::Value units, mlir::Value work); // of the host

private:
  mlir::LLVM::LLVMFuncOp function;
  llvm::SmallVector<mlir::Value> hostArguments;
  llvm::DenseMap<mlir::Value, mlir::Value> byHostValue;
  llvm::DenseMap<Dim, mlir::Value> byDim;
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> held; // elements of tensors on the way through epilogues
  int64_t scratchBytes = 0;
  bool launched = false;
};

} // namespace qcc
