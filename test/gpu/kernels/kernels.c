// Kernels for the emulator's tests, as one would write them for each architecture; clang makes PTX of them. The macro
// TARGET is the architecture.
typedef unsigned u32;
typedef unsigned long long u64;
#define KERNEL __attribute__((nvptx_kernel))
#define SHARED __attribute__((address_space(3)))
#define GLOBAL __attribute__((address_space(1)))

static u32 thread(void) { return __nvvm_read_ptx_sreg_tid_x(); }
static u32 blockX(void) { return __nvvm_read_ptx_sreg_ctaid_x(); }
static u32 blockY(void) { return __nvvm_read_ptx_sreg_ctaid_y(); }
static void barrier(void) { asm volatile("bar.sync 0;" ::: "memory"); }
static u32 sharedAddress(SHARED void *pointer) { return (u32)(__SIZE_TYPE__)pointer; }
extern SHARED __attribute__((aligned(1024))) char tiles[];

// The sum of each 128 values.
static SHARED float sums[128];
KERNEL void reduce(const float *in, float *out) {
  u32 t = thread();
  sums[t] = in[blockX() * 128 + t];
  barrier();
  for (u32 half = 64; half; half >>= 1) {
    if (t < half)
      sums[t] += sums[t + half];
    barrier();
  }
  if (t == 0)
    out[blockX()] = sums[0];
}

#if TARGET >= 80
// c[16][8] = a[16][k] * b[8][k] of one warp; tiles of 16 in k, two in flight.
static SHARED __attribute__((aligned(16))) char aTiles[2][512], bTiles[2][256];
static void startTile(const char *a, const char *b, u32 k, u32 stage, u32 rowBytes) {
  u32 t = thread();
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(aTiles[stage]) + t * 16),
               "l"(a + t / 2 * rowBytes + k * 2 + t % 2 * 16)
               : "memory");
  if (t < 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(bTiles[stage]) + t * 16),
                 "l"(b + t / 2 * rowBytes + k * 2 + t % 2 * 16)
                 : "memory");
  asm volatile("cp.async.commit_group;" ::: "memory");
}
KERNEL void product80(const char *a, const char *b, float *c, u32 depth) {
  u32 t = thread();
  float d[4] = {0, 0, 0, 0};
  startTile(a, b, 0, 0, depth * 2);
  for (u32 k = 0, stage = 0; k < depth; k += 16, stage ^= 1) {
    u32 x[4], y[2];
    if (k + 16 < depth)
      startTile(a, b, k + 16, stage ^ 1, depth * 2);
    else
      asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    asm volatile("bar.warp.sync -1;" ::: "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(sharedAddress(aTiles[stage]) + t % 16 * 32 + t / 16 * 16)
                 : "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(y[0]), "=r"(y[1])
                 : "r"(sharedAddress(bTiles[stage]) + t % 8 * 32 + t / 8 % 2 * 16)
                 : "memory");
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
                 "%1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
    asm volatile("bar.warp.sync -1;" ::: "memory");
  }
  _Pragma("unroll") for (u32 r = 0; r < 4; ++r) c[(t / 4 + 8 * (r / 2)) * 8 + t % 4 * 2 + r % 2] = d[r];
}
#endif

#if TARGET >= 90
struct Map {
  char bytes[128];
} __attribute__((aligned(64)));

static void mbarrierInit(u32 at, u32 count) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(at), "r"(count) : "memory");
}
static void mbarrierArrive(u32 at) {
  asm volatile("{ .reg .b64 s; mbarrier.arrive.shared.b64 s, [%0]; }" ::"r"(at) : "memory");
}
static void mbarrierExpect(u32 at, u32 bytes) {
  asm volatile("{ .reg .b64 s; mbarrier.arrive.expect_tx.shared.b64 s, [%0], %1; }" ::"r"(at), "r"(bytes) : "memory");
}
static void mbarrierWait(u32 at, u32 parity) {
  asm volatile("{ .reg .pred p;\nagain:\nmbarrier.try_wait.parity.shared.b64 p, [%0], %1;\n@!p bra again; }" ::"r"(at),
               "r"(parity)
               : "memory");
}
static void loadTile(u32 to, u64 map, int x, int y, u32 barrierAt) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          to),
      "l"(map), "r"(x), "r"(y), "r"(barrierAt)
      : "memory");
}
#define PARAMETER(kernel, number)                                                                                      \
  ({                                                                                                                   \
    u64 address;                                                                                                       \
    asm("mov.b64 %0, " #kernel "_param_" #number "; cvta.param.u64 %0, %0;" : "=l"(address));                          \
    address;                                                                                                           \
  })
static SHARED u64 full[2], empty[2];
#endif

#if TARGET == 90
#define EIGHT(base)                                                                                                    \
  "+f"(d[base]), "+f"(d[base + 1]), "+f"(d[base + 2]), "+f"(d[base + 3]), "+f"(d[base + 4]), "+f"(d[base + 5]),        \
      "+f"(d[base + 6]), "+f"(d[base + 7])
static void wgmma(float *d, u64 a, u64 b, u32 accumulates) {
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, "
      "%13, %14, "
      "%15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, %32, %33, p, 1, 1; }"
      : EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24)
      : "l"(a), "l"(b), "r"(accumulates));
}
// A row of 128 bytes, swizzled by 128 bytes; eight rows are 1024 bytes.
static u64 descriptor(u32 at) { return (u64)(at >> 4 & 0x3fff) | 1ull << 16 | 64ull << 32 | 1ull << 62; }

// A producer's warp fills a ring of two stages, a warpgroup multiplies: 64 x 64 of c for each block.
KERNEL void product90(struct Map a, struct Map b, float *c, u32 steps, u32 width) {
  u32 t = thread(), ring = sharedAddress(tiles), fullAt = sharedAddress(full), emptyAt = sharedAddress(empty);
  if (t == 0) {
    for (u32 stage = 0; stage < 2; ++stage) {
      mbarrierInit(fullAt + 8 * stage, 1);
      mbarrierInit(emptyAt + 8 * stage, 128);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  barrier();
  if (t >= 128) {
    if (t == 128)
      for (u32 step = 0; step < steps; ++step) {
        u32 stage = step & 1, at = ring + stage * 16384;
        mbarrierWait(emptyAt + 8 * stage, (step >> 1 & 1) ^ 1);
        mbarrierExpect(fullAt + 8 * stage, 16384);
        loadTile(at, PARAMETER(product90, 0), step * 128, blockX() * 64, fullAt + 8 * stage);
        loadTile(at + 8192, PARAMETER(product90, 1), step * 128, blockY() * 64, fullAt + 8 * stage);
      }
    return;
  }
  float d[32];
  _Pragma("unroll") for (u32 i = 0; i < 32; ++i) d[i] = 0;
  for (u32 step = 0; step < steps; ++step) {
    u32 stage = step & 1, at = ring + stage * 16384;
    mbarrierWait(fullAt + 8 * stage, step >> 1 & 1);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    _Pragma("unroll") for (u32 k = 0; k < 4; ++k)
        wgmma(d, descriptor(at) + 2 * k, descriptor(at + 8192) + 2 * k, step + k);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" : EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24)::"memory");
    mbarrierArrive(emptyAt + 8 * stage);
  }
  float *row = c + (u64)(blockX() * 64 + t / 32 * 16 + t % 32 / 4) * width + blockY() * 64 + t % 4 * 2;
  _Pragma("unroll") for (u32 i = 0; i < 32; ++i) row[(i / 2 % 2) * 8 * width + i / 4 * 8 + i % 2] = d[i];
}
#endif

#if TARGET == 100
static SHARED u32 tensorAt;
static u64 descriptor(u32 at) { return (u64)(at >> 4 & 0x3fff) | 1ull << 16 | 64ull << 32 | 1ull << 46 | 2ull << 61; }

// 128 x 64 of c for each block, f16, 64 in k at a time; sums in tensor memory.
KERNEL void product100(struct Map a, struct Map b, float *c, u32 steps, u32 width) {
  u32 t = thread(), ring = sharedAddress(tiles), fullAt = sharedAddress(full), doneAt = sharedAddress(empty);
  if (t == 0) {
    mbarrierInit(fullAt, 1);
    mbarrierInit(doneAt, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  if (t < 32)
    asm volatile("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%0], 64;" ::"r"(sharedAddress(&tensorAt))
                 : "memory");
  barrier();
  u32 d = tensorAt;
  u32 shape = 1u << 4 | 64 / 8 << 17 | 128 / 16 << 24;
  for (u32 step = 0; step < steps; ++step) {
    if (t == 0) {
      mbarrierExpect(fullAt, 24576);
      loadTile(ring, PARAMETER(product100, 0), step * 64, blockX() * 128, fullAt);
      loadTile(ring + 16384, PARAMETER(product100, 1), step * 64, blockY() * 64, fullAt);
      mbarrierWait(fullAt, step & 1);
      _Pragma("unroll") for (u32 k = 0; k < 4; ++k) asm volatile(
          "{ .reg .pred p; setp.ne.b32 p, %4, 0; tcgen05.mma.cta_group::1.kind::f16 [%0], %1, %2, %3, p; }" ::"r"(d),
          "l"(descriptor(ring) + 2 * k), "l"(descriptor(ring + 16384) + 2 * k), "r"(shape), "r"(step + k) : "memory");
      asm volatile("tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%0];" ::"r"(doneAt)
                   : "memory");
    }
    mbarrierWait(doneAt, step & 1);
    barrier(); // no thread may be a phase behind
  }
  asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
  float *row = c + (u64)(blockX() * 128 + t) * width + blockY() * 64;
  _Pragma("unroll") for (u32 column = 0; column < 64; column += 4) {
    float x[4];
    asm volatile("tcgen05.ld.sync.aligned.32x32b.x4.b32 {%0, %1, %2, %3}, [%4];\ntcgen05.wait::ld.sync.aligned;"
                 : "=f"(x[0]), "=f"(x[1]), "=f"(x[2]), "=f"(x[3])
                 : "r"(d + (t / 32 * 32 << 16) + column)
                 : "memory");
    _Pragma("unroll") for (u32 i = 0; i < 4; ++i) row[column + i] = x[i];
  }
  barrier();
  if (t < 32)
    asm volatile("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %0, 64;" ::"r"(d) : "memory");
}
#endif

#if TARGET == 120
// One multiplication of e2m1 with a factor in ue4m3 for every 16 elements; operands as the lanes hold them.
KERNEL void scaled120(const u32 *a, const u32 *b, const u32 *aScale, const u32 *bScale, float *c) {
  u32 t = thread();
  float d[4] = {0, 0, 0, 0};
  asm volatile("{ .reg .b16 first, thread; mov.b16 first, 0; mov.b16 thread, 0;\n"
               "mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3 "
               "{%0, %1, %2, %3}, "
               "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3}, {%10}, {first, thread}, {%11}, {first, thread}; }"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[t * 4]), "r"(a[t * 4 + 1]), "r"(a[t * 4 + 2]), "r"(a[t * 4 + 3]), "r"(b[t * 2]),
                 "r"(b[t * 2 + 1]), "r"(aScale[t]), "r"(bScale[t]));
  _Pragma("unroll") for (u32 r = 0; r < 4; ++r) c[(t / 4 + 8 * (r / 2)) * 8 + t % 4 * 2 + r % 2] = d[r];
}
#endif
