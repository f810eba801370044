// One state of a session: a tensor that grows along one axis, kept with room to grow.
#ifndef QCC_LIB_RUNTIME_STATE_H
#define QCC_LIB_RUNTIME_STATE_H

#include "Buffer.h"
#include "qcc/Artifact/Manifest.h"

#include <cstdint>
#include <vector>

namespace qcc {

class State {
public:
  explicit State(const Manifest::State &description, const std::shared_ptr<Memory> &place = Memory::host())
      : description(&description), place(place), memory(place) {}

  int64_t length() const { return stored; }
  int64_t capacity() const { return room; }
  uint8_t *data() const { return memory.data(); }
  // The dimensions of what is stored; empty before the first `bind`.
  std::vector<int64_t> dims() const;
  bool isBound() const { return !shape.empty(); }
  // Of the contents as `read` gives them.
  int64_t bytes() const;

  void setLength(int64_t length) { stored = length; }
  // Gives the dimensions other than the axis (that one is not looked at). Those of a state that stores something cannot
  // change: false then, and also when the size of one position is out of range.
  bool bind(const std::vector<int64_t> &dims);
  // Makes room for `length` positions along the axis. What is stored stays, the rest is zero. False when there is no
  // memory, which has then the reason.
  bool grow(int64_t length);
  // Stores `length` positions from a contiguous tensor of the bound dimensions, in the same memory, in place of what
  // was there.
  bool load(const uint8_t *contents, int64_t length);
  // Writes the stored positions as a contiguous tensor, in the same memory (Within) or in the processor's (Out).
  bool read(uint8_t *contents, Copy kind = Copy::Within) const;

private:
  const Manifest::State *description;
  std::vector<int64_t> shape; // [axis] is unused
  int64_t outer = 1;          // product of the dimensions before the axis
  int64_t position = 0;       // bytes of one position: product of the dimensions after the axis
  int64_t stored = 0, room = 0;
  std::shared_ptr<Memory> place;
  Buffer memory;
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_STATE_H
