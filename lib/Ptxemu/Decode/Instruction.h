// A decoded instruction: a function and where its operands lie.
#ifndef QCC_LIB_PTXEMU_DECODE_INSTRUCTION_H
#define QCC_LIB_PTXEMU_DECODE_INSTRUCTION_H

#include <cstddef>
#include <cstdint>

namespace qcc::ptxemu {

class Machine;
struct Warp;
struct Instruction;

// What happens to the lanes behind an instruction: all go on, all jump to the target, or the handler has written where
// they go.
enum class Step : uint8_t { Next, Jump, Leave };

// Arithmetic of registers only. A register of up to 32 bits is 32 words of 32 bits at its slot, one of 64 bits is 32
// words of 64 bits, and a predicate is one word with a bit for each lane. Bits above the type's are not defined.
using LaneHandler = void (*)(char *registers, const Instruction &, uint32_t mask);
// Everything else. `mask` is not 0.
using MachineHandler = Step (*)(Machine &, Warp &, const Instruction &, uint32_t mask);

// What an instruction knows beyond its slots.
struct Detail {
  virtual ~Detail() = default;
};

constexpr uint32_t noSlot = ~0u;

// Where a register lies in a warp's file, and its number for what is known of its state.
struct Slot {
  uint32_t at = noSlot;
  int number = -1; // none for constants
  bool wide = false;
};

struct Instruction {
  LaneHandler lanes = nullptr; // one of these two
  MachineHandler machine = nullptr;
  uint32_t guard = noSlot;
  uint32_t guardNumber = 0;
  bool guardNegated = false;
  bool leader = false;     // a jump's target: lanes that went apart may meet here
  bool propagates = false; // moves bits only: what is undefined stays so and is reported where it is used
  bool packs = false;      // likewise, of several registers: undefined only if all of them are
  uint16_t readCount = 0, writeCount = 0;
  uint32_t reads = 0; // in Program::numbers; those that are written follow
  // The destination and the sources; what each family says of them.
  uint32_t d = noSlot, e = noSlot, a = noSlot, b = noSlot, c = noSlot, f = noSlot;
  uint64_t immediate = 0;
  uint32_t target = 0;
  uint32_t line = 0;
  uint32_t begin = 0, end = 0; // in the text
  const Detail *detail = nullptr;
};

template <typename T> const T &detailOf(const Instruction &instruction) {
  return static_cast<const T &>(*instruction.detail);
}

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_DECODE_INSTRUCTION_H
