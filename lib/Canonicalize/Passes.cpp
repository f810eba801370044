#include "qcc/Canonicalize/Passes.h"
#include "dialects/onnx/Onnx.h"
#include "dialects/qnt/Qnt.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "qcc/Canonicalize/Canonicalize.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

static std::function<LogicalResult(ModuleOp)> always(void (*run)(ModuleOp)) {
  return [run](ModuleOp module) {
    run(module);
    return success();
  };
}

ArrayRef<CanonicalizePass> qcc::canonicalizePasses() {
  static const std::vector<CanonicalizePass> passes = {
      {"check-operators", "Reports, in one error, every operator that has no lowering", false, checkOperators},
      {"infer-shapes", "Gives every value its type, with symbolic dimensions; computations on shapes vanish", false,
       inferShapes},
      {"remove-identities", "Removes nodes that change nothing", true, always(removeIdentities)},
      {"merge-equal", "Makes one of nodes and constants that are the same", true, always(mergeEqual)},
      {"fold-batch-normalization", "Makes batch normalization a part of constant weights and biases before it", true,
       always(foldBatchNormalization)},
      {"multiply-codes", "Makes products of dequantized operands sums of products of their codes", true,
       always(multiplyCodes)},
      {"raise-activation", "Makes Swish, Gelu, HardSwish and Mish of their arithmetic", true, always(raiseActivation)},
      {"raise-normalization", "Makes RMS and layer normalization of their arithmetic", true,
       always(raiseNormalization)},
      {"raise-rotary", "Makes rotary position embedding of its arithmetic", true, always(raiseRotary)},
      {"move-transposes", "Moves transposes behind concatenations that are transposed back", true,
       always(moveTransposes)},
      {"raise-attention", "Makes attention of matrix products around a softmax", true, raiseAttention},
      {"raise-code-conv", "Makes convolutions of codes products of bytes", true, always(raiseCodeConv)},
      {"raise-winograd", "Makes 3 x 3 convolutions products of transformed tiles where that takes less time", true,
       always(raiseWinograd)},
      {"recognize-states", "Makes states of the session of inputs that are only appended to", true, recognizeStates},
      {"raise-linear", "Makes qnt.linear of products with constant matrices", true, always(raiseLinear)},
      {"raise-lookup", "Makes qnt.lookup of rows gathered from the matrix of a linear operation", true,
       always(raiseLookup)},
  };
  return passes;
}

namespace {
class ModulePass : public PassWrapper<ModulePass, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ModulePass)
  explicit ModulePass(const CanonicalizePass &row) : row(row) {}
  StringRef getArgument() const override { return row.name; }
  StringRef getDescription() const override { return row.description; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<onnx::OnnxDialect, qnt::QntDialect>();
  }
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal()) {
      getOperation().emitError("has no function 'main' with a body");
      return signalPassFailure();
    }
    if ((row.needsTypes && failed(checkTypes(getOperation()))) || failed(row.run(getOperation())))
      signalPassFailure();
  }

private:
  const CanonicalizePass &row;
};
} // namespace

void qcc::registerCanonicalizePasses() {
  for (const CanonicalizePass &row : canonicalizePasses())
    registerPass([&row] { return std::make_unique<ModulePass>(row); });
}
