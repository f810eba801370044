// RUN: qcc-opt %s | qcc-opt | FileCheck %s

// CHECK: #[[$SIZE:.*]] = affine_map<()[s0] -> (s0 * 4)>
// CHECK-LABEL: func.func @main
func.func @main() {
  // CHECK: tile.symbol 0
  %n = tile.symbol 0
  // CHECK: tile.input 1 : !llvm.ptr
  %x = tile.input 1 : !llvm.ptr
  // CHECK: tile.state 2 : !llvm.ptr
  %s = tile.state 2 : !llvm.ptr
  // CHECK: tile.weight 4096 : !llvm.ptr
  %w = tile.weight 4096 : !llvm.ptr
  // CHECK: tile.output 0(%{{.*}}, %{{.*}}) : !llvm.ptr
  %y = tile.output 0(%n, %n) : !llvm.ptr
  // CHECK: tile.buffer %{{.*}} size #[[$SIZE]] slot 64 : !llvm.ptr
  %b = tile.buffer %n size affine_map<()[s0] -> (s0 * 4)> slot 64 : !llvm.ptr
  // CHECK: tile.buffer %{{.*}} : !llvm.ptr
  %c = tile.buffer %n : !llvm.ptr
  // CHECK: tile.read i64 %{{.*}}[%{{.*}}] : !llvm.ptr
  %r = tile.read i64 %b[%n] : !llvm.ptr
  // CHECK: tile.error : !llvm.ptr
  %e = tile.error : !llvm.ptr
  // CHECK: tile.thread_scratch 256 : !llvm.ptr
  %t = tile.thread_scratch 256 : !llvm.ptr
  // CHECK: tile.thread_scratch 256 at 256 : !llvm.ptr
  %u = tile.thread_scratch 256 at 256 : !llvm.ptr
  // CHECK: tile.launch @kernel over %{{.*}} work %{{.*}}(%{{.*}}, %{{.*}}, %{{.*}}) : !llvm.ptr, !llvm.ptr, i64
  tile.launch @kernel over %n work %n(%x, %y, %r) : !llvm.ptr, !llvm.ptr, i64
  // CHECK: tile.launch @empty over %{{.*}} work %{{.*}}(){{$}}
  tile.launch @empty over %n work %n()
  return
}
