// What LSTM, GRU and RNN have in common: operands in an order for vectors, the product of the input with its weights
// for all time steps at once, states, and the loop over time.
#pragma once

#include "Activations.h"
#include "qcc/Tile/Lowering.h"

namespace qcc {

/// On an LSTM: its hidden states are rounded to codes before they are multiplied with R.
inline constexpr llvm::StringLiteral roundsStatesAttr = "rounds_states";

/// Checks the operands and gives the results their types; the first results are all hidden states, the last hidden
/// state, and the last cell state where there is one.
///
/// The constant-like operands are put in another order by nodes in front: W becomes directions × input × gates *
/// hidden; R directions × blocks × hidden × gates × `lanes`, so that a step reads it from front to back; B directions ×
/// 2 × gates × padded hidden; peepholes directions × 3 × padded hidden. What pads them is 0.
mlir::LogicalResult inferRecurrence(Infer &infer, int64_t gates);

/// The lowering of one such node.
class Recurrence {
public:
  static constexpr int64_t lanes = 16; // hidden units of a block

  Recurrence(const Node &node, Lowering &lowering, int64_t gates);

  const Node &node;
  Lowering &lowering;
  const int64_t gates, directions, hidden, blocks;
  const Dim steps, batch;
  const mlir::Type type; // in which everything is computed

  /// Storage of one padded row of hidden units for each direction and sequence, `copies` times.
  mlir::Value allocateRows(int64_t copies);
  /// Fills rows from a tensor of states, or with 0 where operand `i` is absent.
  void fillRows(mlir::Value rows, unsigned i);
  /// Copies the rows of copy `copy` to result `i`.
  void storeRows(mlir::Value rows, Dim copy, unsigned i);

  /// Calculates the input's product with W and the first hidden states.
  void begin();
  /// body(t) for every time step, on the host.
  void forEachStep(llvm::function_ref<void(mlir::Value t)> body);
  void end();
  /// Makes `rounded` what the hidden states before step t are as codes of uint8, whose scale and zero cover those of a
  /// direction.
  void roundStates(mlir::Value t);

  mlir::Value inputs;  // the product with W: directions × steps * batch × gates * hidden
  mlir::Value states;  // the hidden states before even and before odd steps
  mlir::Value rounded; // null until they are rounded

private:
  mlir::Value stateRow(Kernel &k, mlir::Value direction, mlir::Value sequence);
};

/// One kernel over all blocks of hidden units at one time step.
class RecurrentStep {
public:
  RecurrentStep(Recurrence &recurrence, Kernel &kernel, mlir::Value t);

  /// Calls `compute` for each block of a sequence that has not ended, and `keep` for the others.
  void forEachBlock(llvm::function_ref<void()> compute, llvm::function_ref<void()> keep);
  void launch(int64_t products);

  // Of the block at hand.
  mlir::Value direction, sequence, block;

  Real load(mlir::Value rows, mlir::Value copy = {});
  void store(const Real &value, mlir::Value rows, mlir::Value copy = {});
  mlir::Value before() const { return copyBefore; } // of the hidden states
  mlir::Value after() const { return copyAfter; }
  /// The input's part of a gate.
  Real input(int64_t gate);
  /// Bias of a gate: 0 of the input's product, 1 of the state's. 0 where there is none.
  Real bias(int64_t which, int64_t gate);
  /// Row `line` of a padded operand of `count` rows for each direction.
  Real parameter(unsigned operand, int64_t count, int64_t line);
  /// sums[i] + the product of gates[i] of R with a row.
  llvm::SmallVector<Real> addProduct(llvm::ArrayRef<int64_t> gates, llvm::ArrayRef<Real> sums, mlir::Value rows,
                                     mlir::Value copy = {});
  /// Stores the block's hidden state, or 0 where it is null, in the first result.
  void storeResult(std::optional<Real> value);
  Real clipped(const Real &x);
  /// Selects, by the direction at hand, among the activations of all directions.
  Real activate(llvm::ArrayRef<RecurrentActivation> activations, int64_t perDirection, int64_t which, const Real &x);
  Real zero();

private:
  /// Hidden units that a unit of the kernel computes: a block, or one where each thread of a device has its own.
  int64_t width() const { return r.lowering.facts.device ? 1 : Recurrence::lanes; }
  mlir::Value at(mlir::Value base, mlir::Value index);
  mlir::Value place(mlir::Value copy);

  Recurrence &r;
  Kernel &k;
  mlir::VectorType vector;
  mlir::Value t, position, lane, scratch, copyBefore, copyAfter;
};

} // namespace qcc
