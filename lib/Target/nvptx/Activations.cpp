#include "LinearKernel.h"
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

namespace {
/// Rounds one block of one token, which is what a warp does.
class BlockRounder {
public:
  BlockRounder(Kernel &kernel, Value x, const PackedLayout &layout, ComputeType type, std::optional<float> scale,
               const DeviceActivations &to)
      : k(kernel), t(kernel, ThreadBlock::warpThreads), b(kernel.b), layout(layout), type(type), given(scale),
        x(kernel.pointer(x)), codes(kernel.argument(to.codes)),
        scales(to.scales ? kernel.argument(to.scales) : Value()), sums(to.sums ? kernel.argument(to.sums) : Value()) {
    element = type == ComputeType::Int8  ? t.i8
              : type == ComputeType::Fp8 ? Type(Float8E4M3FNType::get(b.getContext()))
                                         : Type(b.getBF16Type());
  }

  void write(Value token, Value block, int64_t columns) {
    int64_t bytes = storageBytes(element);
    Value from = t.at(x, k.mul(k.add(k.mul(token, k.constant(layout.columns)), k.mul(block, k.constant(layout.block))),
                               k.constant(4)));
    Value to = t.at(codes, k.add(k.mul(token, k.constant(activationStride(layout, bytes))),
                                 k.mul(block, k.constant(deviceColumns(layout, layout.block) * bytes))));
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
          k.storeAt(to, column, element, isInteger ? Value(arith::TruncIOp::create(b, t.i8, code)) : code);
          return SmallVector<Value>{isInteger ? Value(arith::AddIOp::create(b, state[0], code)) : Value(state[0])};
        },
        ThreadBlock::warpThreads)[0];
    // Whole chunks, and behind a short last block whole pieces of 16 bytes.
    int64_t padded = deviceColumns(layout, columns);
    if (columns != layout.block)
      padded = activationStride(layout, bytes) / bytes - layout.fullBlocks() * deviceColumns(layout, layout.block);
    Type raw = storageType(element);
    k.loop(
        k.add(end, t.lane()), k.constant(padded),
        [&](Value column) { k.storeAt(to, column, raw, numberConstant(b, raw, 0)); }, ThreadBlock::warpThreads);
    Value place = k.mul(k.add(k.mul(token, k.constant(layout.blocks())), block), k.constant(4));
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
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  const PackedLayout &layout;
  ComputeType type;
  std::optional<float> given;
  Type element;
  Value x, codes, scales, sums;
};
} // namespace

DeviceActivations qcc::roundOnDevice(Lowering &lowering, Value x, const PackedLayout &layout, ComputeType type,
                                     std::optional<float> scale, Dim tokens, StringRef from) {
  std::string key = llvm::formatv("{0}/{1}/{2}/{3}/{4}", from, int(type), layout.block, layout.chunkColumns(),
                                  llvm::bit_cast<uint32_t>(scale.value_or(0)));
  if (const auto *found = lowering.shared(x, key))
    return {(*found)[0], (*found)[1], (*found)[2]};
  Dimensions &dims = lowering.dims;
  auto buffer = [&](int64_t bytes) { return lowering.allocate(dims.mul(tokens, dims.constant(bytes))); };
  DeviceActivations made{buffer(activationStride(layout, type == ComputeType::Bf16 ? 2 : 1)), {}, {}};
  if (type != ComputeType::Bf16)
    made.scales = buffer(layout.blocks() * 4);
  if (type == ComputeType::Int8)
    made.sums = buffer(layout.blocks() * 4);
  Kernel k(lowering, "round_activations", lowering.loc);
  BlockRounder rounder(k, x, layout, type, scale, made);
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
  k.launch(dims.mul(tokens, dims.constant(layout.blocks())), dims.mul(tokens, dims.constant(layout.columns)));
  lowering.share(x, key, {made.codes, made.scales, made.sums});
  return made;
}
