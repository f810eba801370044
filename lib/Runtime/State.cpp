#include "State.h"

#include <algorithm>

namespace qcc {
namespace {

// The first room a state gets: a short prompt should not grow it several times.
constexpr int64_t firstRoom = 32;

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
  Buffer fresh(place);
  if (!bytes || !fresh.reserve(*bytes) || !place->clear(fresh.data(), *bytes) ||
      !place->copyRows(Copy::Within, fresh.data(), wanted * position, memory.data(), room * position, outer,
                       stored * position))
    return false;
  memory = std::move(fresh);
  room = wanted;
  return true;
}

bool State::load(const uint8_t *contents, int64_t length) {
  stored = 0;
  if (!grow(length))
    return false;
  if (!place->copyRows(Copy::Within, memory.data(), room * position, contents, length * position, outer,
                       length * position))
    return false;
  stored = length;
  return true;
}

bool State::read(uint8_t *contents, Copy kind) const {
  return place->copyRows(kind, contents, stored * position, memory.data(), room * position, outer, stored * position);
}

} // namespace qcc
