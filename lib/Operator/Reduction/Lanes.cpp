#include "Lanes.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t lanes =
    128; // lines side by side: two pages of f32 of a short line stay in the first-level cache

Lanes::Lanes(Lowering &lowering, StringRef name, Axes given, bool inTeams)
    : axes(std::move(given)), k(lowering, name, lowering.loc), axis(axes.reducedAxis()),
      columns(axes.lastIsKept() && !lowering.facts.device), team(makeTeam(inTeams)) {}

Team Lanes::makeTeam(bool inTeams) { return inTeams && !axes.lastIsKept() ? Team(k, length()) : Team(k); }

void Lanes::launch(int64_t cost, llvm::function_ref<void()> body) {
  Dimensions &d = k.lowering.dims;
  Dim work = d.product({d.product(axes.dims), d.constant(cost)});
  SmallVector<Dim> space(axes.kept);
  if (columns)
    space.back() = d.ceilDiv(axes.kept.back(), lanes);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    keptAt = k.delinearize(unit, space);
    if (columns) {
      start = k.mul(keptAt.back(), k.constant(lanes));
      width = k.min(k.constant(lanes), k.sub(k.dim(axes.kept.back()), start));
    }
    body();
  });
  k.launch(d.product(space), work);
}

void Lanes::eachLane(llvm::function_ref<void(Value)> body) {
  if (!columns)
    return team.once([&] { body(k.constant(0)); });
  k.loop(k.constant(0), width, body);
}

void Lanes::eachElement(llvm::function_ref<void(Value, Value)> body) {
  team.each(k.constant(0), k.dim(length()), [&](Value i) {
    if (!columns)
      return body(i, k.constant(0));
    eachLane([&](Value lane) { body(i, lane); });
  });
}

SmallVector<Value> Lanes::place(SmallVector<Value> &kept, Value i, Value lane) {
  kept = keptAt;
  if (columns)
    kept.back() = k.add(start, lane);
  SmallVector<Value> reduced(axes.dims.size(), k.constant(0));
  reduced[axis] = i;
  return reduced;
}

Value Lanes::load(Value i, Value lane) {
  SmallVector<Value> kept, reduced = place(kept, i, lane);
  return axes.load(k, kept, reduced);
}

Value Lanes::number(Value i, Value lane) {
  SmallVector<Value> kept, reduced = place(kept, i, lane);
  return axes.number(k, kept, reduced);
}

Value Lanes::line(Value lane) {
  SmallVector<Value> kept, reduced = place(kept, k.constant(0), lane);
  return k.linearize(kept, axes.kept);
}

Lanes::PerLane Lanes::allocate(Type type) { return {type, {}, k.threadScratch(lanes * storageBytes(type))}; }

Value Lanes::get(const PerLane &values, Value lane) {
  return values.single ? values.single : k.loadAt(values.memory, lane, values.type);
}

Lanes::PerLane Lanes::fold(Fold fold, Type element, llvm::function_ref<Value(Value, Value)> term) {
  Type wide = wideType(fold, element);
  if (!columns)
    return {wide, foldRow(k, fold, element, length(), [&](Value i) { return term(i, k.constant(0)); }, {}, &team), {}};
  PerLane result = compute(wide, [&](Value) { return identity(k, fold, wide); });
  eachElement([&](Value i, Value lane) {
    Value next = castNumber(k.b, term(i, lane), element, wide);
    k.storeAt(result.memory, lane, wide, combine(k, fold, wide, get(result, lane), next));
  });
  return result;
}

Lanes::PerLane Lanes::compute(Type type, llvm::function_ref<Value(Value)> value) {
  if (!columns)
    return {type, value(k.constant(0)), {}};
  PerLane result = allocate(type);
  eachLane([&](Value lane) { k.storeAt(result.memory, lane, type, value(lane)); });
  return result;
}

void Lanes::scan(Type type, Value start, bool reversed, llvm::function_ref<Value(Value, Value, Value)> body) {
  Value end = k.dim(length());
  auto position = [&](Value step) { return reversed ? k.sub(k.sub(end, k.constant(1)), step) : step; };
  if (!columns) {
    k.loop(k.constant(0), end, start, [&](Value step, ValueRange before) {
      return SmallVector<Value>{body(position(step), k.constant(0), before[0])};
    });
    return;
  }
  PerLane state = compute(type, [&](Value) { return start; });
  k.loop(k.constant(0), end, [&](Value step) {
    Value i = position(step);
    eachLane([&](Value lane) { k.storeAt(state.memory, lane, type, body(i, lane, get(state, lane))); });
  });
}
