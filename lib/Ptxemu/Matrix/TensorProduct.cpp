// tcgen05.mma: products whose sums are in tensor memory.
#include "Matrix/Descriptor.h"
#include "Matrix/Elements.h"
#include "Matrix/TensorCore.h"

#include <algorithm>

namespace qcc::ptxemu {
namespace {

enum class Kind : uint8_t { F16, Tf32, F8f6f4, I8, Mxf8f6f4, Mxf4, Mxf4nvf4 };

struct ProductDetail : Detail {
  Kind kind = Kind::F16;
  unsigned scaleBlocks = 0; // along k; 0 without scales
  Slot d, a, b, shape, aScale, bScale, accumulate;
  uint64_t dOffset = 0, aOffset = 0, aScaleOffset = 0, bScaleOffset = 0;
  bool aInTensorMemory = false, accumulateNegated = false;
};

// The instruction descriptor.
struct Shape {
  unsigned m = 0, n = 0, k = 0;
  Type a = Type::None, b = Type::None;
  bool aIsRowMajor = false, bIsRowMajor = false, isInteger = false, saturates = false, isPacked = false;
  double sign = 1;
  unsigned aScaleId = 0, bScaleId = 0;
  Type scale = Type::UE8M0;
};

bool isPackedKind(Kind kind) { return kind >= Kind::Mxf4; }

Type operandType(Machine &machine, Kind kind, uint32_t code) {
  constexpr Type small[] = {Type::E4M3, Type::E5M2, Type::None, Type::E2M3,
                            Type::E3M2, Type::E2M1, Type::None, Type::None};
  Type type = kind == Kind::F16    ? (code == 0   ? Type::F16
                                      : code == 1 ? Type::BF16
                                                  : Type::None)
              : kind == Kind::Tf32 ? (code == 2 ? Type::TF32 : Type::None)
              : kind == Kind::I8   ? (code == 0   ? Type::U8
                                      : code == 1 ? Type::S8
                                                  : Type::None)
              : isPackedKind(kind) ? (code == 1 ? Type::E2M1 : Type::None)
                                   : small[code & 7];
  if (type == Type::None)
    machine.stop("descriptor", "the instruction descriptor has no operand type " + std::to_string(code));
  return type;
}

Shape shapeOf(Machine &machine, const ProductDetail &detail, uint32_t bits) {
  Shape shape;
  bool scaled = detail.scaleBlocks != 0;
  shape.a = operandType(machine, detail.kind, bits >> 7 & 7);
  shape.b = operandType(machine, detail.kind, bits >> 10 & 7);
  shape.isPacked = isPackedKind(detail.kind);
  shape.isInteger = detail.kind == Kind::I8;
  shape.k = shape.isPacked ? 64 : 256 / containerBits(shape.a);
  shape.m = (bits >> 24 & 31) * 16;
  shape.n = (bits >> 17 & 63) * 8;
  shape.aIsRowMajor = bits >> 15 & 1;
  shape.bIsRowMajor = bits >> 16 & 1;
  shape.sign = (bits >> 13 & 1) != (bits >> 14 & 1) ? -1 : 1;
  shape.saturates = shape.isInteger && bits >> 3 & 1;
  if (scaled) {
    shape.aScaleId = bits >> 29 & 3;
    shape.bScaleId = bits >> 4 & 3;
    shape.scale = bits >> 23 & 1 ? Type::UE8M0 : Type::UE4M3;
  }
  uint32_t sum = bits >> 4 & 3, wanted = shape.isInteger ? 2 : 1;
  if (!scaled && sum != wanted)
    machine.stop(sum ? "descriptor" : "unsupported", "sums of this type in tensor memory");
  if (bits >> 2 & 1)
    machine.stop("unsupported", "a sparse operand");
  if (scaled && bits >> 31 && shape.isPacked)
    machine.stop("unsupported", "products of depth 96");
  if (shape.m != 64 && shape.m != 128)
    machine.stop("tcgen05", "M is " + std::to_string(shape.m) + ", not 64 or 128");
  if (shape.n == 0 || shape.n > 256 || shape.n % (shape.m == 64 ? 8 : 16))
    machine.stop("tcgen05",
                 "N is " + std::to_string(shape.n) + ", which M = " + std::to_string(shape.m) + " does not allow");
  if (scaled && shape.m != 128)
    machine.stop("tcgen05", "block scales need M = 128");
  bool rowMajor = shape.aIsRowMajor || shape.bIsRowMajor;
  if (rowMajor && (shape.isPacked || bitsOf(shape.a) < 8 || bitsOf(shape.b) < 8))
    machine.stop("unsupported", "operands of 4 or 6 bits whose rows are contiguous");
  return shape;
}

// The lane of a row: 64 rows take 16 lanes of each group.
uint32_t laneOf(const Shape &shape, uint32_t base, unsigned row) {
  return shape.m == 64 ? base + row / 16 * 32 + row % 16 : base + row;
}

void readTensorA(Machine &machine, TensorMemory &memory, const Shape &shape, uint32_t address,
                 std::vector<float> &values) {
  unsigned width = containerBits(shape.a), perCell = 32 / width;
  values.resize(size_t(shape.m) * shape.k);
  for (unsigned row = 0; row < shape.m; ++row)
    for (unsigned k = 0; k < shape.k; ++k) {
      uint32_t cell =
          tensorCell(machine, memory, laneOf(shape, address >> 16, row), (address & 0xffff) + k / perCell, false);
      values[size_t(row) * shape.k + k] = elementValue(shape.a, lowBits(cell >> (k % perCell * width), width));
    }
}

void readShared(Machine &machine, Warp &warp, const Shape &shape, bool isA, uint64_t descriptor, const Actor &actor,
                std::vector<float> &values) {
  TileShape tile;
  tile.type = isA ? shape.a : shape.b;
  tile.rows = isA ? shape.m : shape.n;
  tile.depth = shape.k;
  tile.isRowMajor = isA ? shape.aIsRowMajor : shape.bIsRowMajor;
  tile.isPacked = shape.isPacked;
  readTile(machine, warp, tensorCoreDescriptor(machine, descriptor), tile, !isA, actor, values);
}

// The factors of row m are in lane m % 32 of all groups, column m / 32, one in a byte.
void scaleRows(Machine &machine, TensorMemory &memory, const Shape &shape, unsigned blocks, bool isA, uint32_t address,
               const Actor &actor, std::vector<float> &values) {
  unsigned rows = isA ? shape.m : shape.n, id = isA ? shape.aScaleId : shape.bScaleId;
  uint32_t column = address & 0xffff;
  if (id % blocks || id + blocks > 4)
    machine.stop("descriptor", "a scale factor id of " + std::to_string(id) + " with " + std::to_string(blocks) +
                                   " factors for each row");
  touchColumns(machine, memory, column, (rows + 31) / 32, false, actor);
  for (unsigned row = 0; row < rows; ++row) {
    uint32_t cell = tensorCell(machine, memory, row % 32, column + row / 32, false);
    for (unsigned group = 1; group < 4; ++group)
      if (tensorCell(machine, memory, row % 32 + 32 * group, column + row / 32, false) != cell) {
        machine.find("tcgen05", "scale factors are not the same in all four groups of 32 lanes");
        break;
      }
    for (unsigned k = 0; k < shape.k; ++k) {
      float factor = elementValue(shape.scale, cell >> (8 * (id + k / (shape.k / blocks))) & 255);
      values[isA ? size_t(row) * shape.k + k : size_t(k) * shape.n + row] *= factor;
    }
  }
}

uint32_t sumBits(const Shape &shape, double sum) {
  if (!shape.isInteger)
    return bitsOfSum(sum);
  if (shape.saturates)
    sum = std::clamp(sum, -2147483648.0, 2147483647.0);
  return static_cast<uint32_t>(static_cast<int64_t>(sum));
}

Step product(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const ProductDetail &detail = detailOf<ProductDetail>(instruction);
  requireOneThread(machine, mask);
  unsigned lane = firstLane(mask);
  TensorMemory &memory = tensorMemory(machine.blocks[warp.block]);
  Shape shape = shapeOf(machine, detail, static_cast<uint32_t>(warp.value(detail.shape, lane)));
  uint32_t d = static_cast<uint32_t>(warp.value(detail.d, lane) + detail.dOffset);
  uint32_t base = d >> 16, column = d & 0xffff;
  if (base && !(shape.m == 64 && base == 16))
    machine.stop("tcgen05", "sums cannot begin at lane " + std::to_string(base));
  bool accumulates = (warp.predicate(detail.accumulate.at) >> lane & 1) != detail.accumulateNegated;
  Actor actor = machine.beginAsync(warp, Work::Products);
  std::vector<float> a, b;
  if (detail.aInTensorMemory) {
    uint32_t address = static_cast<uint32_t>(warp.value(detail.a, lane) + detail.aOffset);
    touchColumns(machine, memory, address & 0xffff, shape.k * containerBits(shape.a) / 32, false, actor);
    readTensorA(machine, memory, shape, address, a);
  } else {
    readShared(machine, warp, shape, true, warp.value(detail.a, lane), actor, a);
  }
  readShared(machine, warp, shape, false, warp.value(detail.b, lane), actor, b);
  if (detail.scaleBlocks) {
    auto at = [&](const Slot &slot, uint64_t offset) { return static_cast<uint32_t>(warp.value(slot, lane) + offset); };
    scaleRows(machine, memory, shape, detail.scaleBlocks, true, at(detail.aScale, detail.aScaleOffset), actor, a);
    scaleRows(machine, memory, shape, detail.scaleBlocks, false, at(detail.bScale, detail.bScaleOffset), actor, b);
  }
  if (shape.sign < 0)
    for (float &value : a)
      value = -value;
  touchColumns(machine, memory, column, shape.n, true, actor);
  std::vector<double> sum(size_t(shape.m) * shape.n, 0.0);
  auto forCells = [&](auto action) {
    for (unsigned row = 0; row < shape.m; ++row)
      for (unsigned n = 0; n < shape.n; ++n)
        action(tensorCell(machine, memory, laneOf(shape, base, row), column + n, !accumulates),
               sum[size_t(row) * shape.n + n]);
  };
  if (accumulates)
    forCells([&](uint32_t cell, double &value) {
      value = shape.isInteger ? static_cast<double>(static_cast<int32_t>(cell)) : static_cast<double>(singleOf(cell));
    });
  laneHandlers().product(a.data(), b.data(), sum.data(), shape.m, shape.n, shape.k);
  forCells([&](uint32_t &cell, double value) { cell = sumBits(shape, value); });
  return Step::Next;
}

} // namespace

void decodeTensorProduct(Decoder &decoder) {
  Modifiers &words = decoder.words();
  ProductDetail &detail = decoder.detail<ProductDetail>();
  int kind = words.takeOneOf(
      {"kind::f16", "kind::tf32", "kind::f8f6f4", "kind::i8", "kind::mxf8f6f4", "kind::mxf4", "kind::mxf4nvf4"});
  if (kind < 0)
    decoder.fail("this kind of tcgen05.mma is not understood");
  detail.kind = static_cast<Kind>(kind);
  bool scaled = words.take("block_scale");
  int blocks = words.takeOneOf({"scale_vec::1X", "scale_vec::2X", "scale_vec::4X", "block32", "block16"});
  if (scaled != (detail.kind >= Kind::Mxf8f6f4))
    decoder.fail("block scales belong to the kinds that begin with mx");
  if (scaled) {
    bool isPacked = isPackedKind(detail.kind);
    detail.scaleBlocks = blocks == 2 || blocks == 4 ? 4 : isPacked ? 2 : 1;
    bool fits = blocks < 0 || blocks == 3 || (blocks == 0 && !isPacked) || (blocks == 1 && isPacked) ||
                (detail.kind == Kind::Mxf4nvf4 && (blocks == 2 || blocks == 4));
    if (!fits)
      decoder.fail("this kind does not have these scales");
  }
  // How operands are kept between products changes no result.
  words.takePrefix("collector::a::");
  decoder.expectOperands(scaled ? 7 : 5);
  auto address = [&](size_t index, uint64_t &offset) {
    offset = decoder.operand(index).value;
    return decoder.address(decoder.operand(index));
  };
  detail.d = address(0, detail.dOffset);
  detail.aInTensorMemory = decoder.operand(1).kind == Operand::Address;
  detail.a = detail.aInTensorMemory ? address(1, detail.aOffset) : decoder.source(1, Type::B64);
  detail.b = decoder.source(2, Type::B64);
  detail.shape = decoder.source(3, Type::B32);
  if (scaled) {
    detail.aScale = address(4, detail.aScaleOffset);
    detail.bScale = address(5, detail.bScaleOffset);
  }
  const Operand &accumulate = decoder.operand(scaled ? 6 : 4);
  detail.accumulate = decoder.predicate(accumulate);
  detail.accumulateNegated = accumulate.negated;
  decoder.emitMachine(product);
}

} // namespace qcc::ptxemu
