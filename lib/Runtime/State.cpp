#include "State.h"

#include <algorithm>
#include <cstring>

namespace qcc {
namespace {

// The first room a state gets: a short prompt should not grow it several times.
constexpr int64_t firstRoom = 32;

// Moves rows of `bytes` bytes between tensors whose rows start `fromStride` and `toStride` bytes apart.
void copyRows(uint8_t *to, int64_t toStride, const uint8_t *from, int64_t fromStride, int64_t rows, int64_t bytes) {
  if (bytes == 0)
    return;
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(to + row * toStride, from + row * fromStride, bytes);
}

} // namespace

std::vector<int64_t> State::dims() const {
  std::vector<int64_t> result = shape;
  if (isBound())
    result[description->axis] = stored;
  return result;
}

int64_t State::bytes() const { return outer * stored * position; }

bool State::bind(const std::vector<int64_t> &dims) {
  std::vector<int64_t> wanted = dims;
  wanted[description->axis] = 1;
  if (wanted == shape)
    return true;
  if (stored != 0)
    return false;
  size_t axis = description->axis;
  // Empty dimensions make the product 0, so the factors are checked apart.
  std::optional<int64_t> before = tensorBytes(DataType::U8, wanted.data(), axis);
  std::optional<int64_t> after = tensorBytes(description->type, wanted.data() + axis + 1, wanted.size() - axis - 1);
  if (!before || !after || !tensorBytes(description->type, wanted.data(), wanted.size()))
    return false;
  shape = std::move(wanted);
  outer = *before;
  position = *after;
  room = 0;
  return true;
}

bool State::grow(int64_t length) {
  if (length <= room)
    return true;
  constexpr int64_t limit = int64_t(1) << 40;
  if (length > limit)
    return false;
  // By at least half, so that a token's share of all the copying is constant.
  int64_t wanted = std::max({length, room + room / 2, firstRoom});
  std::vector<int64_t> full = shape;
  full[description->axis] = wanted;
  std::optional<int64_t> bytes = tensorBytes(description->type, full.data(), full.size());
  Buffer fresh;
  if (!bytes || !fresh.reserve(*bytes))
    return false;
  std::memset(fresh.data(), 0, *bytes);
  copyRows(fresh.data(), wanted * position, memory.data(), room * position, outer, stored * position);
  memory = std::move(fresh);
  room = wanted;
  return true;
}

bool State::load(const uint8_t *contents, int64_t length) {
  stored = 0;
  if (!grow(length))
    return false;
  copyRows(memory.data(), room * position, contents, length * position, outer, length * position);
  stored = length;
  return true;
}

void State::read(uint8_t *contents) const {
  copyRows(contents, stored * position, memory.data(), room * position, outer, stored * position);
}

} // namespace qcc
