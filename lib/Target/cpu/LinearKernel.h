// The kernels of qnt.linear: products of tokens with a packed weight matrix.
#pragma once

#include "Activations.h"
#include "Decode.h"
#include "dialects/qnt/Qnt.h"

namespace qcc {

/// What the kernels of one linear operation need to know.
struct LinearPlan {
  qnt::LinearOp op;
  Format format;
  PackedLayout layout;
  bool integer = false; // int8 activations
  Dim tokens;
  mlir::Value weights; // their storage, on the host

  /// Tokens that one pass over the packed weights serves, for one token and for a few; more go through decoded panels
  /// of this many.
  struct Columns {
    int few, many;
  };
  static Columns columnsFor(const TargetFacts &facts, bool integer);
};

/// Multiplies straight from the packed codes: every weight is read and decoded once for `columns` tokens. For one token
/// and float32 activations, these are x itself.
void emitPackedLinear(Lowering &lowering, const LinearPlan &plan, int columns, const Activations &activations);

/// Bytes of thread storage that `emitPanelLinear` needs.
int64_t panelLinearScratch(const TargetFacts &facts, const LinearPlan &plan);

/// Decodes 32 rows at a time into thread storage and multiplies them with all tokens, in register tiles of `columns`
/// tokens.
void emitPanelLinear(Lowering &lowering, const LinearPlan &plan, int columns, const Activations &activations);

} // namespace qcc
