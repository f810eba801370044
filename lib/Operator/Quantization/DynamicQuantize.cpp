// DynamicQuantizeLinear: uint8 codes whose scale and zero cover the values at hand.
#include "../Reduction/Fold.h"
#include "Quantize.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t chunk = 4096; // elements whose range one unit finds

static LogicalResult inferDynamicQuantize(Infer &infer) {
  if (infer.inputs() != 1 || !infer.has(0) || !infer.element(0).isF32())
    return infer.error("takes one operand of float32");
  Type code = IntegerType::get(infer.op.getContext(), 8, IntegerType::Unsigned);
  infer.result(0, infer.dims(0), code);
  infer.result(1, {}, infer.element(0));
  infer.result(2, {}, code);
  return success();
}

SmallVector<Value> qcc::rangeOf(Kernel &k, Value from, Value to, ValueRange known,
                                llvm::function_ref<std::pair<Value, Value>(Value)> value, const Team *team) {
  Type f32 = k.b.getF32Type();
  Value zero = k.constantF32(0);
  SmallVector<Value> first = known.empty() ? SmallVector<Value>{zero, zero} : SmallVector<Value>(known);
  auto smaller = [&](Value x, Value y) { return combine(k, Fold::Smallest, f32, x, y); };
  auto larger = [&](Value x, Value y) { return combine(k, Fold::Largest, f32, x, y); };
  auto next = [&](Value i, ValueRange so) {
    auto [low, high] = value(i);
    return SmallVector<Value>{smaller(so[0], low), larger(so[1], high)};
  };
  if (!team)
    return k.loop(from, to, first, next);
  SmallVector<Value> mine = team->each(from, to, first, next);
  return {team->across(mine[0], smaller), team->across(mine[1], larger)};
}

std::pair<Real, Value> qcc::scaleOfRange(Kernel &k, ValueRange range) {
  Type code = IntegerType::get(k.b.getContext(), 8, IntegerType::Unsigned);
  Real low(k.b, range[0]), high(k.b, range[1]);
  constexpr double codes = 255;
  Real scale = select(low == high, 1.0, (high - low) / codes);
  return {scale, integerCode(k.b, 0.0 - low / scale, {}, code)};
}

static LogicalResult lowerDynamicQuantize(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> x = node.dims(0);
  Type f32 = node.element(0), code = node.outputElement();
  Dim total = dims.product(x), chunks = dims.ceilDiv(total, chunk);
  Value ranges = lowering.allocate(dims.mul(chunks, dims.constant(8)));
  Value parameters = lowering.allocate(dims.constant(8)); // scale and zero, both as floats
  {
    Kernel k(lowering, "range", lowering.loc);
    Team team(k, dims.constant(chunk));
    Value base = k.argument(ranges);
    k.loop(k.lo(), k.hi(), [&](Value unit) {
      Value from = k.mul(unit, k.constant(chunk)), to = k.min(k.add(from, k.constant(chunk)), k.dim(total));
      SmallVector<Value> range = rangeOf(
          k, from, to, {},
          [&](Value i) {
            Value value = k.load(node.input(0), Index(x, i));
            return std::pair(value, value);
          },
          &team);
      team.once([&] {
        for (int64_t i : {0, 1})
          k.storeAt(base, k.add(k.mul(unit, k.constant(2)), k.constant(i)), f32, range[i]);
      });
    });
    k.launch(chunks, total);
  }
  {
    Kernel k(lowering, "range_scale", lowering.loc);
    Value base = k.argument(ranges), to = k.argument(parameters);
    k.loop(k.lo(), k.hi(), [&](Value) {
      SmallVector<Value> range = rangeOf(k, k.constant(0), k.dim(chunks), {}, [&](Value i) {
        Value at = k.mul(i, k.constant(2));
        return std::pair(k.loadAt(base, at, f32), k.loadAt(base, k.add(at, k.constant(1)), f32));
      });
      auto [scale, zero] = scaleOfRange(k, range);
      k.storeAt(to, k.constant(0), f32, scale.value());
      k.storeAt(to, k.constant(1), f32, castNumber(k.b, zero, code, f32));
      if (node.hasOutput(1))
        k.store(node.output(1), ArrayRef<Value>(), scale.value());
      if (node.hasOutput(2))
        k.store(node.output(2), ArrayRef<Value>(), zero);
    });
    k.launch(dims.constant(1), chunks);
  }
  if (!node.hasOutput(0))
    return success();
  bool linear = !lowering.isFused(node.input(0)) || lowering.isLinear(node.input(0), x);
  lowering.forEachElement(node.output(), "dynamicquantizelinear", linear, 5, [&](Kernel &k, const Index &at) {
    Value from = k.argument(parameters);
    Real value(k.b, k.load(node.input(0), at)), scale(k.b, k.loadAt(from, k.constant(0), f32));
    Value zero = castNumber(k.b, k.loadAt(from, k.constant(1), f32), f32, code);
    return integerCode(k.b, value / scale, zero, code);
  });
  return success();
}

void qcc::registerDynamicQuantize(OperatorRegistry &registry) {
  registry.add("", "DynamicQuantizeLinear", inferDynamicQuantize, lowerDynamicQuantize);
}
