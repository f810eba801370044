#include "../BlockRounding.h"
#include "LinearKernel.h"
#include "qcc/Target/DeviceRounding.h"
#include "qcc/Tile/Team.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

int64_t qcc::deviceColumns(const PackedLayout &layout, int64_t columns) {
  return layout.chunks(columns) * layout.chunkColumns();
}

int64_t qcc::deviceColumns(const PackedLayout &layout) {
  return layout.fullBlocks() * deviceColumns(layout, layout.block) +
         (layout.tail() ? deviceColumns(layout, layout.tail()) : 0);
}

int64_t qcc::activationStride(const PackedLayout &layout, int64_t activationBytes) {
  return llvm::alignTo(deviceColumns(layout) * activationBytes, 16);
}

std::string DeviceLinear::kernelName(llvm::StringRef kind) const {
  static constexpr llvm::StringLiteral types[] = {"", "_int8", "_fp8", "_bf16"};
  return llvm::formatv("linear_{0}{1}_{2}", format.name, types[int(type)], kind);
}

void DeviceLinear::store(ThreadBlock &t, Value packed, Value count, Value token, Value row, Value sum,
                         Value tokenScales) {
  Kernel &k = t.k;
  k.when(k.both(k.less(token, count), k.less(row, k.constant(layout.rows))), [&] {
    if (tokenScales)
      sum = arith::MulFOp::create(t.b, sum, t.load(t.f32, t.at(tokenScales, k.mul(token, k.constant(4))), 4));
    if (layout.hasRowScales) {
      Value at = t.at(t.at(packed, layout.rowScalesOffset()), k.mul(row, k.constant(4)));
      sum = arith::MulFOp::create(t.b, sum, t.load(t.f32, at, 4));
    }
    Value y = op.getY();
    k.store(y, Index(dimsOf(y.getType()), k.add(k.mul(token, k.constant(layout.rows)), row)), sum);
  });
}

namespace {
/// Rounds one block of one token, which is what a warp does. `x` has all tokens or, `isRow`, the one alone.
class BlockRounder {
public:
  BlockRounder(ThreadBlock &t, Value x, bool isRow, const PackedLayout &layout, ComputeType type,
               std::optional<float> scale, const DeviceActivations &to, bool forWarpgroups)
      : k(t.k), t(t), b(t.b), layout(layout), type(type), given(scale), isRow(isRow),
        stride(forWarpgroups ? k.dim(to.stride) : Value()), x(x), codes(k.argument(to.codes)),
        scales(to.scales ? k.argument(to.scales) : Value()), sums(to.sums ? k.argument(to.sums) : Value()) {
    element = type == ComputeType::Int8  ? t.i8
              : type == ComputeType::Fp8 ? Type(Float8E4M3FNType::get(b.getContext()))
                                         : Type(b.getBF16Type());
  }

  void write(Value token, Value block, int64_t columns) {
    int64_t bytes = storageBytes(element);
    Value start = k.mul(block, k.constant(layout.block));
    if (!isRow)
      start = k.add(k.mul(token, k.constant(layout.columns)), start);
    Value from = t.at(x, k.mul(start, k.constant(4)));
    Value first = k.mul(block, k.constant(deviceColumns(layout, layout.block)));
    auto at = [&](Value column) { return t.load(t.f32, t.at(from, k.mul(column, k.constant(4))), 4); };
    Value end = k.constant(columns), factor, scale;
    if (scales)
      std::tie(scale, factor) = chooseScale(end, at);
    auto round = [&](Value column) -> Value {
      Value value = factor ? Value(arith::MulFOp::create(b, at(column), factor)) : at(column);
      if (given) { // what lies beyond saturates
        value = arith::MaxNumFOp::create(b, value, k.constantF32(-127));
        value = arith::MinNumFOp::create(b, value, k.constantF32(127));
      }
      if (type == ComputeType::Int8)
        value = arith::FPToSIOp::create(b, t.i32, math::RoundEvenOp::create(b, value));
      return value;
    };
    Value sum = k.loop(
        t.lane(), end, t.integer(0),
        [&](Value column, ValueRange state) {
          Value code = round(column);
          bool isInteger = type == ComputeType::Int8;
          store(token, k.add(first, column), element, isInteger ? Value(arith::TruncIOp::create(b, t.i8, code)) : code);
          return SmallVector<Value>{isInteger ? Value(arith::AddIOp::create(b, state[0], code)) : Value(state[0])};
        },
        ThreadBlock::warpThreads)[0];
    // Whole chunks, and behind a short last block whole pieces of 16 bytes or whole steps of the instruction.
    int64_t padded = deviceColumns(layout, columns);
    if (columns != layout.block && stride)
      padded = llvm::alignTo(padded, MatrixUnit::columns);
    else if (columns != layout.block)
      padded = activationStride(layout, bytes) / bytes - layout.fullBlocks() * deviceColumns(layout, layout.block);
    Type raw = storageType(element);
    k.loop(
        k.add(end, t.lane()), k.constant(padded),
        [&](Value column) { store(token, k.add(first, column), raw, numberConstant(b, raw, 0)); },
        ThreadBlock::warpThreads);
    Value place = stride ? k.add(k.mul(block, stride), token) : k.add(k.mul(token, k.constant(layout.blocks())), block);
    place = k.mul(place, k.constant(4));
    if (sums)
      sum = t.sumOverLanes(sum, ThreadBlock::warpThreads - 1);
    if (scales)
      k.when(k.equal(t.lane(), k.constant(0)), [&] {
        t.store(scale, t.at(scales, place), 4);
        if (sums)
          t.store(sum, t.at(sums, place), 4);
      });
  }

private:
  /// Stores the code of a padded column.
  void store(Value token, Value column, Type stored, Value value) {
    int64_t bytes = storageBytes(stored);
    if (!stride) {
      Value to = t.at(codes, k.mul(token, k.constant(activationStride(layout, bytes))));
      return k.storeAt(to, column, stored, value);
    }
    constexpr int64_t rowBytes = WarpgroupUnit::rowBytes, pieceBytes = 16;
    Value byte = k.mul(WarpgroupUnit::positionOf(k, layout, type, column), k.constant(bytes));
    Value row = k.div(byte, k.constant(rowBytes)), inRow = k.rem(byte, k.constant(rowBytes));
    Value piece = arith::XOrIOp::create(b, k.div(inRow, k.constant(pieceBytes)), k.rem(token, k.constant(8)));
    Value place = k.add(k.mul(k.add(k.mul(row, stride), token), k.constant(rowBytes)),
                        k.add(k.mul(piece, k.constant(pieceBytes)), k.rem(byte, k.constant(pieceBytes))));
    k.storeAt(t.at(codes, place), k.constant(0), stored, value);
  }

  /// The scale of a block, and what its elements are multiplied with.
  std::pair<Value, Value> chooseScale(Value end, llvm::function_ref<Value(Value)> at) {
    if (given)
      return {k.constantF32(*given), k.constantF32(1 / *given)};
    float most = type == ComputeType::Int8 ? 127 : 448;
    Value zero = k.constantF32(0);
    Value largest = k.loop(
        t.lane(), end, zero,
        [&](Value column, ValueRange state) {
          return SmallVector<Value>{larger(state[0], math::AbsFOp::create(b, at(column)))};
        },
        ThreadBlock::warpThreads)[0];
    for (int bit = ThreadBlock::warpThreads / 2; bit > 0; bit /= 2)
      largest = larger(largest, t.shuffleXor(largest, bit));
    Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, largest, zero);
    return {arith::MulFOp::create(b, largest, k.constantF32(1.0f / most)),
            k.select(isZero, zero, arith::DivFOp::create(b, k.constantF32(most), largest))};
  }

  Value larger(Value most, Value value) {
    return arith::MaxNumFOp::create(b, most, value, arith::FastMathFlags::nnan | arith::FastMathFlags::nsz);
  }

  Kernel &k;
  ThreadBlock &t;
  ImplicitLocOpBuilder &b;
  const PackedLayout &layout;
  ComputeType type;
  std::optional<float> given;
  bool isRow;
  Type element;
  Value stride; // of the order for warpgroups
  Value x, codes, scales, sums;
};
} // namespace

namespace {
/// A kernel that rounds all of `x`, written and not yet launched.
struct Rounding {
  std::unique_ptr<Kernel> kernel;
  Dim units, work;
  void launch() { kernel->launch(units, work); }
};
} // namespace

/// Blocks of threads that compute a token's row and round it from shared memory, a block of columns for each warp.
static Rounding roundRows(Lowering &lowering, const RowProgram &rows, const PackedLayout &layout, Dim tokens,
                          llvm::function_ref<BlockRounder(ThreadBlock &, Value row)> make) {
  Dimensions &dims = lowering.dims;
  Rounding rounding{std::make_unique<Kernel>(lowering, rows.name + "_rounded", lowering.loc), tokens,
                    dims.mul(tokens, dims.constant(8 * layout.columns))};
  Kernel &k = *rounding.kernel;
  Team team(k, dims.constant(layout.columns));
  ThreadBlock &t = team.block();
  Value row = team.scratch(layout.columns * 4);
  rows.write(k, team, k.lo(), [&](Value i, Value x) { k.storeAt(row, i, t.f32, x); });
  team.barrier();
  BlockRounder rounder = make(t, row);
  k.loop(
      t.warp(), k.constant(layout.fullBlocks()), [&](Value block) { rounder.write(k.lo(), block, layout.block); },
      t.warps());
  if (layout.tail())
    k.when(k.equal(t.warp(), k.constant(t.warps() - 1)),
           [&] { rounder.write(k.lo(), k.constant(layout.fullBlocks()), layout.tail()); });
  return rounding;
}

static Rounding writeRounding(Lowering &lowering, Value x, const PackedLayout &layout, ComputeType type,
                              std::optional<float> scale, Dim tokens, const DeviceActivations &made,
                              bool forWarpgroups) {
  if (const RowProgram *rows = lowering.rowsLeft(x))
    return roundRows(lowering, *rows, layout, tokens, [&](ThreadBlock &t, Value row) {
      return BlockRounder(t, row, /*isRow=*/true, layout, type, scale, made, forWarpgroups);
    });
  Dimensions &dims = lowering.dims;
  Rounding rounding{std::make_unique<Kernel>(lowering, "round_activations", lowering.loc),
                    dims.mul(tokens, dims.constant(layout.blocks())), dims.mul(tokens, dims.constant(layout.columns))};
  Kernel &k = *rounding.kernel;
  ThreadBlock t(k, ThreadBlock::warpThreads);
  BlockRounder rounder(t, k.pointer(x), /*isRow=*/false, layout, type, scale, made, forWarpgroups);
  Value perToken = k.constant(layout.blocks()), token = k.div(k.lo(), perToken), block = k.rem(k.lo(), perToken);
  if (!layout.tail())
    rounder.write(token, block, layout.block);
  else if (!layout.fullBlocks())
    rounder.write(token, block, layout.tail());
  else {
    auto op = scf::IfOp::create(k.b, k.less(block, k.constant(layout.fullBlocks())), /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(k.b);
    k.b.setInsertionPointToStart(op.thenBlock());
    rounder.write(token, block, layout.block);
    k.b.setInsertionPointToStart(op.elseBlock());
    rounder.write(token, block, layout.tail());
  }
  return rounding;
}

bool qcc::roundsRowsOf(Lowering &lowering, Value tensor) {
  if (!lowering.facts.device)
    return false;
  return llvm::all_of(tensor.getUses(), [&](OpOperand &use) {
    auto linear = dyn_cast<qnt::LinearOp>(use.getOwner());
    if (!linear || use.get() != linear.getX() || linear->getBlock() != tensor.getParentBlock())
      return false;
    return computeTypeOf(linear.getAct()) != ComputeType::F32 && !BlockRounding::of(linear.getAct());
  });
}

DeviceActivations qcc::roundOnDevice(Lowering &lowering, Value x, const PackedLayout &layout, ComputeType type,
                                     std::optional<float> scale, Dim tokens, StringRef from) {
  Dimensions &dims = lowering.dims;
  bool hasWarpgroups = usesWarpgroups(*lowering.facts.device, layout, type);
  std::string key = llvm::formatv("{0}/{1}/{2}/{3}/{4}/{5}", from, int(type), layout.block, layout.chunkColumns(),
                                  llvm::bit_cast<uint32_t>(scale.value_or(0)), hasWarpgroups);
  // Copies of whole tiles of tokens read as much as there may be in one.
  constexpr int64_t most = WarpgroupTile::mostTokens;
  Dim stride = hasWarpgroups ? dims.mul(dims.ceilDiv(tokens, most), dims.constant(most)) : tokens;
  if (const auto *found = lowering.shared(x, key))
    return {(*found)[0], (*found)[1], (*found)[2], stride};
  int64_t codeBytes = activationStride(layout, type == ComputeType::Bf16 ? 2 : 1);
  if (hasWarpgroups)
    codeBytes = llvm::alignTo(codeBytes, WarpgroupUnit::rowBytes);
  auto buffer = [&](int64_t bytes) { return lowering.allocate(dims.mul(stride, dims.constant(bytes))); };
  DeviceActivations made{buffer(codeBytes), {}, {}, stride};
  if (type != ComputeType::Bf16)
    made.scales = buffer(layout.blocks() * 4);
  if (type == ComputeType::Int8)
    made.sums = buffer(layout.blocks() * 4);
  auto write = [&](bool forWarpgroups) {
    return writeRounding(lowering, x, layout, type, scale, tokens, made, forWarpgroups);
  };
  if (auto known = constantOf(tokens); known || !hasWarpgroups) {
    write(hasWarpgroups && *known > fewTokens).launch();
  } else {
    Rounding few = write(false), many = write(true);
    lowering.branch(isAtMost(lowering, tokens, fewTokens), [&] { few.launch(); }, [&] { many.launch(); });
  }
  lowering.share(x, key, {made.codes, made.scales, made.sums});
  return made;
}
