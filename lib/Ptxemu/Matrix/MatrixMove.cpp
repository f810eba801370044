// ldmatrix, stmatrix, movmatrix: matrices of 8 rows of 16 bytes between shared memory and fragments.
#include "Decode/Decoder.h"
#include "Execute/Families.h"
#include "Execute/Machine.h"
#include "Memory/Words.h"

#include <algorithm>

namespace qcc::ptxemu {
namespace {

enum class Source : uint8_t { Plain, PaddedNibbles, PaddedSixBits };

struct MoveDetail : Detail {
  unsigned count = 1;
  bool isTransposed = false, isBytes = false;
  unsigned rows = 8;
  Source source = Source::Plain;
  Slot address;
  uint64_t offset = 0;
  std::vector<Slot> data;
};

// Pointers to the rows of all matrices; lane n gives the address of row n. Shapes with 16 rows take two groups of lanes
// for each matrix.
void rowsOf(Machine &machine, Warp &warp, const MoveDetail &detail, bool isWrite, uint8_t **rows) {
  uint64_t addresses[32];
  unsigned rowCount = detail.count * detail.rows;
  uint32_t lanes = rowCount >= 32 ? ~0u : (1u << rowCount) - 1;
  for (unsigned lane = 0; lane < 32; ++lane)
    addresses[lane] = (warp.value(detail.address, lane) + detail.offset) & ~windowMask;
  machine.resolve(warp, Space::Shared, addresses, 16, 16, isWrite, false, lanes, rows);
}

Step matrixLoad(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MoveDetail &detail = detailOf<MoveDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  uint8_t *rows[32];
  rowsOf(machine, warp, detail, false, rows);
  for (unsigned index = 0; index < detail.count; ++index) {
    uint32_t *registers = warp.words(detail.data[index].at);
    for (unsigned lane = 0; lane < 32; ++lane) {
      unsigned row = lane / 4, column = lane % 4 * 2;
      uint16_t low, high;
      if (detail.isTransposed) {
        std::memcpy(&low, rows[index * 8 + column] + row * 2, 2);
        std::memcpy(&high, rows[index * 8 + column + 1] + row * 2, 2);
      } else {
        std::memcpy(&low, rows[index * 8 + row] + column * 2, 2);
        std::memcpy(&high, rows[index * 8 + row] + column * 2 + 2, 2);
      }
      registers[lane] = low | uint32_t(high) << 16;
    }
  }
  return Step::Next;
}

// Elements of 4 or 6 bits, sixteen at the start of every row, become bytes.
Step paddedLoad(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MoveDetail &detail = detailOf<MoveDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  uint8_t *rows[32];
  rowsOf(machine, warp, detail, false, rows);
  unsigned width = detail.source == Source::PaddedNibbles ? 4 : 6;
  auto element = [&](unsigned row, unsigned column) -> uint32_t {
    unsigned bit = column * width;
    uint16_t two;
    std::memcpy(&two, rows[row] + bit / 8, 2);
    uint32_t value = two >> bit % 8 & ((1u << width) - 1);
    return width == 4 ? value << 2 : value;
  };
  unsigned perMatrix = detail.isTransposed ? 2 : 1;
  for (unsigned index = 0; index < detail.data.size(); ++index) {
    uint32_t *registers = warp.words(detail.data[index].at);
    for (unsigned lane = 0; lane < 32; ++lane) {
      uint32_t word = 0;
      for (unsigned byte = 0; byte < 4; ++byte) {
        unsigned row = lane / 4, column = lane % 4 * 4 + byte;
        uint32_t value = detail.isTransposed ? element(index / perMatrix * 16 + column, row + index % perMatrix * 8)
                                             : element(index * 8 + row, column);
        word |= value << (8 * byte);
      }
      registers[lane] = word;
    }
  }
  return Step::Next;
}

// Matrices of 16 rows of 16 bytes, transposed: register 2q has rows 0 to 7 of the result, register 2q + 1 the others.
Step byteLoad(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MoveDetail &detail = detailOf<MoveDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  uint8_t *rows[32];
  rowsOf(machine, warp, detail, false, rows);
  for (unsigned index = 0; index < detail.data.size(); ++index) {
    uint32_t *registers = warp.words(detail.data[index].at);
    for (unsigned lane = 0; lane < 32; ++lane) {
      uint32_t word = 0;
      for (unsigned byte = 0; byte < 4; ++byte)
        word |= uint32_t(rows[index / 2 * 16 + lane % 4 * 4 + byte][lane / 4 + index % 2 * 8]) << (8 * byte);
      registers[lane] = word;
    }
  }
  return Step::Next;
}

Step matrixStore(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MoveDetail &detail = detailOf<MoveDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  uint8_t *rows[32];
  rowsOf(machine, warp, detail, true, rows);
  for (unsigned index = 0; index < detail.count; ++index) {
    const uint32_t *registers = warp.words(detail.data[index].at);
    for (unsigned lane = 0; lane < 32; ++lane)
      for (unsigned half = 0; half < 2; ++half) {
        uint16_t value = static_cast<uint16_t>(registers[lane] >> (16 * half));
        unsigned row = lane / 4, column = lane % 4 * 2 + half;
        if (detail.isTransposed)
          std::swap(row, column);
        std::memcpy(rows[index * 8 + row] + column * 2, &value, 2);
      }
  }
  return Step::Next;
}

// 8-bit elements, transposed: rows of 16 bytes in memory are columns of the fragment.
Step byteStore(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MoveDetail &detail = detailOf<MoveDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  uint8_t *rows[32];
  rowsOf(machine, warp, detail, true, rows);
  for (unsigned index = 0; index < detail.count; ++index) {
    const uint32_t *registers = warp.words(detail.data[index].at);
    for (unsigned lane = 0; lane < 32; ++lane)
      for (unsigned byte = 0; byte < 4; ++byte) {
        // The fragment has 16 rows and 8 columns.
        unsigned row = lane / 4 + byte / 2 * 8, column = lane % 4 * 2 + byte % 2;
        rows[index * 8 + column][row] = static_cast<uint8_t>(registers[lane] >> (8 * byte));
      }
  }
  return Step::Next;
}

Step transpose(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  uint16_t matrix[64];
  const uint32_t *from = warp.words(instruction.a);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned half = 0; half < 2; ++half)
      matrix[(lane % 4 * 2 + half) * 8 + lane / 4] = static_cast<uint16_t>(from[lane] >> (16 * half));
  uint32_t *to = warp.words(instruction.d);
  for (unsigned lane = 0; lane < 32; ++lane)
    to[lane] = matrix[lane * 2] | uint32_t(matrix[lane * 2 + 1]) << 16;
  return Step::Next;
}

// Takes the shape and what follows it; `perMatrix` is the count of registers of a matrix.
void decodeShape(Decoder &decoder, MoveDetail &detail, unsigned &perMatrix) {
  Modifiers &words = decoder.words();
  if (!words.take("sync") || !words.take("aligned"))
    decoder.fail("only .sync.aligned is understood");
  int shape = words.takeOneOf({"m8n8", "m16n16", "m8n16", "m16n8"});
  int count = words.takeOneOf({"x1", "x2", "x4"});
  detail.isTransposed = words.take("trans");
  takeSpace(words);
  Type type = decoder.needType();
  detail.isBytes = shape > 0;
  if (shape < 0 || count < 0 || type != (shape ? Type::B8 : Type::B16))
    decoder.fail("this form is not understood");
  detail.count = 1u << count;
  detail.rows = shape == 1 ? 16 : 8;
  perMatrix = shape == 1 ? 2 : 1;
  if (words.take("b4x16_p64"))
    detail.source = Source::PaddedNibbles;
  else if (words.take("b6x16_p32"))
    detail.source = Source::PaddedSixBits;
  words.take("b8x16"); // what the destination of padded elements is called
  bool fits = shape == 0   ? true
              : shape == 1 ? detail.isTransposed && detail.count <= 2
              : shape == 2 ? !detail.isTransposed && detail.source != Source::Plain
                           : detail.isTransposed;
  if (!fits)
    decoder.fail("this form is not understood");
}

void finish(Decoder &decoder, MoveDetail &detail, const Operand &address, unsigned perMatrix) {
  decoder.expectOperands(2);
  detail.address = decoder.address(address);
  detail.offset = address.value;
  if (detail.data.size() != size_t(detail.count) * perMatrix)
    decoder.fail("the count of registers is not that of the matrices");
}

} // namespace

void decodeMatrixLoad(Decoder &decoder) {
  MoveDetail &detail = decoder.detail<MoveDetail>();
  unsigned perMatrix;
  decodeShape(decoder, detail, perMatrix);
  detail.data = decoder.destinations(decoder.operand(0), Type::B32);
  finish(decoder, detail, decoder.operand(1), perMatrix);
  decoder.emitMachine(detail.source != Source::Plain ? paddedLoad : detail.isBytes ? byteLoad : matrixLoad);
}

void decodeMatrixStore(Decoder &decoder) {
  MoveDetail &detail = decoder.detail<MoveDetail>();
  unsigned perMatrix;
  decodeShape(decoder, detail, perMatrix);
  detail.data = decoder.sources(decoder.operand(1), Type::B32);
  finish(decoder, detail, decoder.operand(0), perMatrix);
  decoder.emitMachine(detail.isBytes ? byteStore : matrixStore);
}

void decodeMatrixMove(Decoder &decoder) {
  Modifiers &words = decoder.words();
  if (!words.take("sync") || !words.take("aligned") || !words.take("m8n8") || !words.take("trans") ||
      decoder.needType() != Type::B16)
    decoder.fail("this form of movmatrix is not understood");
  decoder.expectOperands(2);
  decoder.out.d = decoder.destination(0, Type::B32).at;
  decoder.out.a = decoder.source(1, Type::B32).at;
  decoder.emitMachine(transpose);
}

} // namespace qcc::ptxemu
