#include "Widen.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace qcc;

namespace {
/// What a value is along the row: the same everywhere, an integer or address that grows by `step` (bytes, for an
/// address) with each element, another one for every element, or an integer that grows in no known way.
struct Along {
  enum Kind { Same, Steps, Lanes, Irregular } kind = Same;
  int64_t step = 0;
};

class Widener {
public:
  Widener(Simd &simd, ElementCode code) : s(simd), b(simd.b) {
    region.push_back(body = new Block);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(body);
    Value at = body->addArgument(s.i64, b.getLoc()), value = body->addArgument(s.f32, b.getLoc());
    code(at, value);
    along[at] = {Along::Steps, 1};
    along[value] = {Along::Lanes, 0};
    works = llvm::all_of(*body, [&](Operation &op) { return classify(&op); });
  }

  bool isPossible() const { return works; }

  void emit(Value at, Value value, Value laneMask) {
    mask = laneMask;
    map.map(body->getArgument(0), at);
    map.map(body->getArgument(1), value);
    for (Operation &op : *body)
      emit(&op);
  }

private:
  Along of(Value value) const {
    auto it = along.find(value);
    return it == along.end() ? Along() : it->second;
  }

  bool classify(Operation *op) {
    if (op->getNumRegions() || op->getNumSuccessors())
      return false;
    if (auto load = dyn_cast<LLVM::LoadOp>(op))
      return classifyAccess(load.getAddr(), load.getResult());
    if (auto store = dyn_cast<LLVM::StoreOp>(op)) {
      Along value = of(store.getValue());
      return (value.kind == Along::Same || value.kind == Along::Lanes) && of(store.getAddr()).kind == Along::Steps &&
             of(store.getAddr()).step == bytesOf(store.getValue().getType());
    }
    if (auto gep = dyn_cast<LLVM::GEPOp>(op))
      return classifyAddress(gep);
    if (!isMemoryEffectFree(op) || op->getNumResults() != 1)
      return false;
    Along result;
    for (Value operand : op->getOperands())
      result.kind = std::max(result.kind, of(operand).kind);
    if (result.kind == Along::Lanes) { // every element has its own: no operand may be a position
      bool known = hasLanes(op);
      for (Value operand : op->getOperands())
        known &= of(operand).kind != Along::Steps;
      if (!known)
        return false;
    } else if (result.kind == Along::Steps) {
      auto step = stepOf(op);
      if (step)
        result.step = *step, result.kind = *step ? Along::Steps : Along::Same;
      else
        result.kind = Along::Irregular;
    }
    if (result.kind == Along::Irregular && !op->getResult(0).getType().isInteger(64))
      return false;
    along[op->getResult(0)] = result;
    return true;
  }

  /// Whether the operation is there for vectors: on all targets with instructions for a register of lanes.
  static bool hasLanes(Operation *op) {
    if (isa<math::RoundEvenOp, math::FloorOp, math::CeilOp, math::TruncOp, math::AbsFOp, math::SqrtOp, math::FmaOp>(op))
      return true;
    return isa<arith::ArithDialect>(op->getDialect()) && op->hasTrait<OpTrait::Elementwise>();
  }

  /// By how much the result of integer arithmetic grows, where that is the same for all elements.
  std::optional<int64_t> stepOf(Operation *op) const {
    if (!op->getResult(0).getType().isInteger(64))
      return std::nullopt;
    if (isa<arith::AddIOp>(op))
      return of(op->getOperand(0)).step + of(op->getOperand(1)).step;
    if (isa<arith::SubIOp>(op))
      return of(op->getOperand(0)).step - of(op->getOperand(1)).step;
    if (isa<arith::MulIOp>(op))
      for (int i : {0, 1})
        if (auto factor = getConstantIntValue(op->getOperand(i)))
          return *factor * of(op->getOperand(1 - i)).step;
    return std::nullopt;
  }

  static int64_t bytesOf(Type type) { return type.isIntOrFloat() ? type.getIntOrFloatBitWidth() / 8 : 0; }

  bool classifyAddress(LLVM::GEPOp gep) {
    if (gep.getDynamicIndices().size() > 1)
      return false;
    Along base = of(gep.getBase());
    for (Value index : gep.getDynamicIndices()) {
      if (of(index).kind != Along::Same && (of(index).kind != Along::Steps || !bytesOf(gep.getElemType())))
        return false;
      base.step += of(index).step * bytesOf(gep.getElemType());
    }
    base.kind = base.step ? Along::Steps : Along::Same;
    along[gep.getResult()] = base;
    return true;
  }

  bool classifyAccess(Value address, Value result) {
    Along from = of(address);
    bool isLanes = from.kind == Along::Steps && from.step == bytesOf(result.getType());
    if (!isLanes && from.kind != Along::Same)
      return false;
    along[result] = {isLanes ? Along::Lanes : Along::Same, 0};
    return true;
  }

  /// The value in every lane.
  Value lanes(Value value) {
    Value made = map.lookupOrDefault(value);
    return isa<VectorType>(made.getType()) ? made : s.spread(s.vectorOf(value.getType()), made);
  }

  void emit(Operation *op) {
    if (auto load = dyn_cast<LLVM::LoadOp>(op); load && of(load.getResult()).kind == Along::Lanes) {
      VectorType type = s.vectorOf(load.getResult().getType());
      Value address = map.lookupOrDefault(load.getAddr());
      unsigned align = bytesOf(type.getElementType());
      if (!mask)
        return map.map(load.getResult(), s.load(type, address, align));
      Value zero = arith::ConstantOp::create(b, DenseElementsAttr::get(type, b.getZeroAttr(type.getElementType())));
      return map.map(load.getResult(), Value(LLVM::MaskedLoadOp::create(b, type, address, mask, zero, align)));
    }
    if (auto store = dyn_cast<LLVM::StoreOp>(op)) {
      Value address = map.lookupOrDefault(store.getAddr()), value = lanes(store.getValue());
      unsigned align = bytesOf(store.getValue().getType());
      if (mask)
        LLVM::MaskedStoreOp::create(b, value, address, mask, align);
      else
        s.store(value, address, align);
      return;
    }
    bool isLanes = op->getNumResults() == 1 && of(op->getResult(0)).kind == Along::Lanes;
    Operation *copy = op->clone(map);
    if (isLanes) {
      for (OpOperand &operand : op->getOpOperands())
        copy->setOperand(operand.getOperandNumber(), lanes(operand.get()));
      copy->getResult(0).setType(s.vectorOf(op->getResult(0).getType()));
    }
    b.insert(copy);
    for (auto [from, to] : llvm::zip(op->getResults(), copy->getResults()))
      map.map(from, to);
  }

  Simd &s;
  ImplicitLocOpBuilder &b;
  Region region;
  Block *body;
  llvm::DenseMap<Value, Along> along;
  IRMapping map;
  Value mask;
  bool works = false;
};
} // namespace

bool qcc::isWide(Simd &simd, ElementCode code) { return Widener(simd, code).isPossible(); }

bool qcc::emitWide(Simd &simd, Value at, Value value, Value mask, ElementCode code) {
  Widener widener(simd, code);
  if (widener.isPossible())
    widener.emit(at, value, mask);
  return widener.isPossible();
}
