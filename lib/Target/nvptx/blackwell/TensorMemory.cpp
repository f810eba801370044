#include "TensorMemory.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

SmallVector<Value> TensorMemory::run(const std::string &text, std::string constraints, ValueRange operands,
                                     ArrayRef<Type> results) {
  return t.assembly(text, constraints + (constraints.empty() ? "~{memory}" : ",~{memory}"), operands, results);
}

Value TensorMemory::address(Value place) { return LLVM::PtrToIntOp::create(b, t.i32, place); }
Value TensorMemory::narrow(Value wide) { return arith::TruncIOp::create(b, t.i32, wide); }
Value TensorMemory::barrierAt(Value number) {
  return address(t.at(done, k.mul(k.rem(number, k.constant(barriers)), k.constant(8))));
}

void TensorMemory::begin() {
  done = t.shared(8 * barriers, 8);
  Value place = t.shared(4, 4);
  k.when(k.equal(t.thread(), k.constant(0)), [&] {
    for (int64_t i = 0; i < barriers; ++i)
      run("mbarrier.init.shared::cta.b64 [$0], 1;", "r", {barrierAt(k.constant(i))});
    run("fence.mbarrier_init.release.cluster;", "", {});
  });
  k.when(k.equal(t.warp(), k.constant(0)), [&] {
    run(llvm::formatv("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [$0], {0}; "
                      "tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;",
                      columns),
        "r", {address(place)});
  });
  before();
  t.barrier();
  behind();
  memory = t.load(t.i32, place, 4);
}

void TensorMemory::end() {
  before();
  t.barrier();
  k.when(k.equal(t.warp(), k.constant(0)), [&] {
    behind();
    run(llvm::formatv("tcgen05.dealloc.cta_group::1.sync.aligned.b32 $0, {0};", columns), "r", {memory});
  });
}

void TensorMemory::commit(Value number) {
  run("tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [$0];", "r", {barrierAt(number)});
}

void TensorMemory::wait(Value number) {
  Value round = k.rem(k.div(number, k.constant(barriers)), k.constant(2));
  run("{ .reg .pred p;\nagain:\nmbarrier.try_wait.parity.shared.b64 p, [$0], $1;\n@!p bra again; }", "r,r",
      {barrierAt(number), narrow(round)});
}

Value TensorMemory::pieceAt(Value tile, Value line, Value piece) {
  Value place = arith::XOrIOp::create(b, piece, k.rem(line, k.constant(8)));
  return t.at(tile, k.add(k.mul(line, k.constant(lineBytes)), k.mul(place, k.constant(16))));
}

/// The descriptor of a matrix in shared memory (PTX ISA, "Shared memory descriptor"): `eights` bytes from eight lines
/// to the next.
Value TensorMemory::describe(Value place, int64_t eights, uint64_t pattern) {
  Value start = arith::ShRUIOp::create(b, arith::ExtUIOp::create(b, t.i64, address(place)), k.constant(4));
  start = arith::AndIOp::create(b, start, k.constant(0x3fff));
  uint64_t rest = uint64_t(eights >> 4) << 32 | uint64_t(1) << 46 | pattern << 61;
  return arith::OrIOp::create(b, start, k.constant(int64_t(rest)));
}

SmallVector<Value> TensorMemory::load(Value column, Type type) {
  Value lanes = arith::ShLIOp::create(b, narrow(k.mul(t.warp(), k.constant(32))), t.integer(16));
  std::string registers, constraints;
  for (int64_t i = 0; i < loadColumns; ++i) {
    registers += (i ? ", $" : "$") + std::to_string(i);
    constraints += type == t.f32 ? "=f," : "=r,";
  }
  // One piece of assembly: nothing may read the registers before they are there.
  return run(llvm::formatv("tcgen05.ld.sync.aligned.32x32b.x{0}.b32 {{{1}}, [${0}]; tcgen05.wait::ld.sync.aligned;",
                           loadColumns, registers),
             constraints + "r", {arith::AddIOp::create(b, arith::AddIOp::create(b, memory, lanes), column)},
             SmallVector<Type>(loadColumns, type));
}

void TensorMemory::copyPiece(Value from, Value to, int64_t bytes, Value present) {
  auto global = LLVM::LLVMPointerType::get(b.getContext(), 1);
  auto modifier = bytes == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
  NVVM::CpAsyncOp::create(b, to, LLVM::AddrSpaceCastOp::create(b, global, from), int32_t(bytes), modifier, present);
}

Value TensorMemory::tileBase(const PackedLayout &layout, Value packed, Value rowGroup, Value tile) {
  Value own =
      k.min(k.add(k.mul(rowGroup, k.constant(rows / PackedLayout::tileRows)), tile), k.constant(layout.tiles() - 1));
  return t.at(packed, k.mul(own, k.constant(layout.tileBytes())));
}

void TensorMemory::copyWeights(const PackedLayout &layout, Value packed, Value rowGroup, Value first, int64_t count,
                               int64_t perPiece, bool isRest, Value to) {
  int64_t chunksPerBlock = layout.chunks(layout.block);
  int64_t last = layout.fullBlocks() * chunksPerBlock + (layout.tail() ? layout.chunks(layout.tail()) : 0) - 1;
  Value perBlock = k.constant(chunksPerBlock), blockBytes = k.constant(layout.blockBytes(layout.block));
  // A warp copies two packed tiles, two chunks at once, four bytes of a row by each lane.
  Value row = k.rem(t.lane(), k.constant(16)), second = k.div(t.lane(), k.constant(16));
  for (int64_t m = 0; m < 2; ++m) {
    Value tile = k.add(k.mul(t.warp(), k.constant(2)), k.constant(m)), base = tileBase(layout, packed, rowGroup, tile);
    Value line = k.add(k.mul(tile, k.constant(16)), row);
    for (int64_t pair = 0; pair < (count + 1) / 2; ++pair) {
      Value chunk = k.add(k.constant(2 * pair), second), at = k.add(first, chunk);
      if (isRest)
        at = k.min(at, k.constant(last));
      Value offset =
          k.add(k.mul(k.div(at, perBlock), blockBytes), k.mul(k.rem(at, perBlock), k.constant(layout.chunkBytes())));
      offset = k.add(k.add(offset, k.constant(layout.codesOffset())), k.mul(row, k.constant(4)));
      Value target = pieceAt(to, line, k.div(chunk, k.constant(perPiece)));
      copyPiece(t.at(base, offset), t.at(target, k.mul(k.rem(chunk, k.constant(perPiece)), k.constant(4))), 4);
    }
  }
}
