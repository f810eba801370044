#include "WindowRows.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxTaps = 49;      // all are in straight code
static constexpr int64_t leastColumns = 4;  // shorter rows are not worth a vector
static constexpr int64_t maxRow = 1 << 14;  // a row of padding lies in thread storage
static constexpr int64_t maxDistance = 256; // rows between two windows and within one

bool WindowRows::fits(const FloatWindow &window) {
  return window.across.stride <= 2 && window.across.input <= maxRow && window.taps() <= maxTaps &&
         window.across.output >= leastColumns && window.down.output >= 1 &&
         maxDistance >= window.down.stride + (window.down.kernel - 1) * window.down.dilation;
}

int WindowRows::lanesFor(int most, int64_t columns) {
  int best = most;
  auto spent = [&](int lanes) { return (columns + lanes - 1) / lanes * lanes; };
  for (int lanes = most / 2; lanes >= 4; lanes /= 2)
    if (spent(lanes) < spent(best))
      best = lanes;
  return best;
}

WindowRows::WindowRows(Simd &simd, const FloatWindow &window)
    : s(simd), k(simd.k), window(window), down(window.down), across(window.across) {
  if (down.before <= 0 && position(down, down.output - 1, down.kernel - 1) < down.input)
    return;
  padding = k.threadScratch((across.input + s.lanes) * 4);
  Value fill = s.spread(s.floats, window.outside(k));
  for (int64_t i = 0; i < across.input; i += s.lanes)
    s.store(fill, s.at(padding, i * 4), 4);
}

bool WindowRows::isInside(int64_t vector) const {
  int64_t first = vector * s.lanes, end = first + s.lanes;
  return position(across, first, 0) >= 0 && end <= across.output &&
         position(across, end - 1, across.kernel - 1) + across.stride - 1 < across.input;
}

SmallVector<Value> WindowRows::lines(Value plane, Value y, int64_t count) const {
  SmallVector<Value> result;
  Value first = k.sub(k.mul(y, k.constant(down.stride)), k.constant(down.before));
  for (int64_t i = 0; i < reach(count); ++i) {
    bool isRead = false;
    forUses(i, count, [&](int64_t, int64_t) { isRead = true; });
    if (!isRead) {
      result.push_back({});
      continue;
    }
    Value line = k.add(first, k.constant(i));
    Value address = s.at(plane, k.mul(line, k.constant(across.input * 4)));
    if (padding) {
      Value inside = arith::CmpIOp::create(s.b, arith::CmpIPredicate::ult, line, k.constant(down.input));
      address = k.select(inside, address, padding);
    }
    result.push_back(address);
  }
  return result;
}

void WindowRows::forUses(int64_t i, int64_t count, llvm::function_ref<void(int64_t, int64_t)> body) const {
  for (int64_t row = 0; row < count; ++row) {
    int64_t distance = i - row * down.stride;
    if (distance >= 0 && distance % down.dilation == 0 && distance / down.dilation < down.kernel)
      body(row, distance / down.dilation);
  }
}

Value WindowRows::maskOf(llvm::function_ref<bool(int64_t)> isSet) const {
  SmallVector<bool> lanes;
  for (int64_t i = 0; i < s.lanes; ++i)
    lanes.push_back(isSet(i));
  auto type = VectorType::get(s.lanes, s.b.getI1Type());
  return arith::ConstantOp::create(s.b, DenseElementsAttr::get(type, ArrayRef<bool>(lanes)));
}

Value WindowRows::mask(std::optional<int64_t> known, int64_t v) const {
  if (!known || (*known + v + 1) * s.lanes <= across.output)
    return {};
  return maskOf([&](int64_t lane) { return (*known + v) * s.lanes + lane < across.output; });
}

Value WindowRows::load(Value line, Value first, std::optional<int64_t> known, int64_t v, int64_t tap) const {
  // Taps at an odd distance take the odd elements of the same vectors, which are then loaded once for both.
  int64_t distance = tap * across.dilation, odd = across.stride == 2 ? distance % 2 : 0;
  int64_t offset = v * s.lanes * across.stride + distance - odd - across.before;
  Value start = s.at(line, k.mul(first, k.constant(s.lanes * across.stride * 4)));
  auto part = [&](int64_t ahead) -> Value { // `lanes` consecutive elements
    Value at = LLVM::GEPOp::create(s.b, s.ptr, s.i8, start, ArrayRef<LLVM::GEPArg>{int32_t((offset + ahead) * 4)});
    if (!known)
      return s.load(s.floats, at, 4);
    int64_t from = *known * s.lanes * across.stride + offset + ahead;
    if (from >= 0 && from + s.lanes <= across.input)
      return s.load(s.floats, at, 4);
    Value isElement = maskOf([&](int64_t lane) { return from + lane >= 0 && from + lane < across.input; });
    return LLVM::MaskedLoadOp::create(s.b, s.floats, at, isElement, s.spread(s.floats, window.outside(k)), 4);
  };
  if (across.stride == 1)
    return part(0);
  SmallVector<int64_t> chosen;
  for (int64_t i = 0; i < s.lanes; ++i)
    chosen.push_back(2 * i + odd);
  Value low = part(0), high = part(s.lanes);
  return vector::ShuffleOp::create(s.b, low, high, chosen);
}

void WindowRows::forGroups(int64_t most, llvm::function_ref<void(Value, std::optional<int64_t>, int64_t)> body) const {
  int64_t count = vectors(), v = 0;
  while (v < count) {
    int64_t inside = 0; // vectors from here on that need no masks
    while (v + inside < count && isInside(v + inside))
      ++inside;
    if (int64_t looped = inside / most * most; looped > most) {
      k.loop(k.constant(v), k.constant(v + looped), [&](Value first) { body(first, {}, most); }, most);
      v += looped;
      continue;
    }
    int64_t size = std::min(most, count - v);
    body(k.constant(v), v, size);
    v += size;
  }
}
