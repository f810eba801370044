typedef signed char i8;
typedef unsigned char u8;
typedef short i16;
typedef unsigned short u16;
typedef int i32;
typedef unsigned u32;
typedef long long i64;
typedef unsigned long long u64;
#ifdef __NVPTX__
#define KERNEL __attribute__((nvptx_kernel))
#define ID (__nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x())
#define LOOP                                                                                                           \
  int id = ID;                                                                                                         \
  if (id >= n)                                                                                                         \
    return;
#define END
#else
#define KERNEL
#define LOOP for (int id = 0; id < n; ++id) {
#define END }
#endif
#define NOINLINE __attribute__((noinline))
// Each kernel mixes the results of many operations on three patterns of 64 bits into one. The host's compiler and the
// emulator must agree.
#define K(name, ...)                                                                                                   \
  KERNEL void name(const u64 *A, const u64 *B, const u64 *C, u64 *O, int n) {                                          \
    LOOP u64 a = A[id], b = B[id], c = C[id];                                                                          \
    u64 r = 0;                                                                                                         \
    __VA_ARGS__;                                                                                                       \
    O[id] = r;                                                                                                         \
    END                                                                                                                \
  }
#define MIX(x) r = r * 31 + (u64)(x)
static inline float f32(u64 x) {
  u32 v = x;
  float f;
  __builtin_memcpy(&f, &v, 4);
  return f;
}
static inline u32 b32(float f) {
  u32 v;
  __builtin_memcpy(&v, &f, 4);
  return f != f ? 0x7fffffff : v;
}
static inline double f64(u64 x) {
  double f;
  __builtin_memcpy(&f, &x, 8);
  return f;
}
static inline u64 b64(double f) {
  u64 v;
  __builtin_memcpy(&v, &f, 8);
  return f != f ? 0x7fffffffffffffff : v;
}
K(
    arith32, i32 x = a; i32 y = b; i32 z = c; MIX((u32)x + (u32)y); MIX((u32)x - (u32)y); MIX((u32)x * (u32)y);
    MIX((u32)x * (u32)y + (u32)z); if (y && !(x == (-2147483647 - 1) && y == -1)) {
      MIX(x / y);
      MIX(x % y);
    } MIX((u32)x / ((u32)y | 1));
    MIX((u32)x % ((u32)y | 1)); MIX(x < y ? x : y); MIX((u32)x > (u32)y ? x : y); MIX(x >> (y & 31));
    MIX((u32)x >> (y & 31)); MIX((u32)x << (y & 31)); MIX(x & y | z); MIX(~x ^ z); MIX(x < 0 ? -(u32)x : x);
    MIX(__builtin_popcount(x)); MIX(x ? __builtin_clz(x) : 32); MIX(x ? __builtin_ctz(x) : 32);
    MIX(__builtin_bitreverse32(x)); MIX(__builtin_bswap32(x)); MIX(x == y); MIX(x <= z); MIX((u32)x >= (u32)z))
K(arith64, i64 x = a; i64 y = b; i64 z = c; MIX(a + b); MIX(a - b); MIX(a * b); MIX(a * b + c); MIX(x / (y | 1));
  MIX(x % (y | 1)); MIX(a / (b | 1)); MIX(a % (b | 1)); MIX(x < y ? x : y); MIX(a > b ? x : y); MIX(x >> (y & 63));
  MIX(a >> (y & 63)); MIX(a << (y & 63)); MIX(x & y | z); MIX(~x ^ z); MIX(x < 0 ? -a : a);
  MIX(__builtin_popcountll(x)); MIX(x ? __builtin_clzll(x) : 64); MIX(__builtin_bitreverse64(x));
  MIX(__builtin_bswap64(x)); MIX(((unsigned __int128)a * b) >> 64); MIX(((__int128)x * y) >> 64);
  MIX((u64)(((unsigned __int128)a * b + c) >> 64));
  unsigned __int128 w = ((unsigned __int128)a << 64 | b) + ((unsigned __int128)c << 64 | a); MIX(w); MIX(w >> 64);
  w -= ((unsigned __int128)b << 64 | c); MIX(w); MIX(w >> 64); MIX(w >> 37))
K(
    arith16, i16 x = a; i16 y = b; i16 z = c; u16 p = a; u16 q = b; MIX((i16)(x + y)); MIX((i16)(x - y));
    MIX((i16)(x * y)); MIX((i16)(x * y + z)); MIX(x * y); MIX(p * (u32)q); if (y) {
      MIX(x / y);
      MIX(x % y);
    } MIX(p / (q | 1));
    MIX(p % (q | 1)); MIX(x < y ? x : y); MIX(p > q ? p : q); MIX((i16)(x >> (y & 15))); MIX((u16)(p >> (q & 15)));
    MIX((u16)(p << (q & 15))); MIX((i8)a); MIX((u8)b); MIX((i8)a < (i8)b); MIX((u8)a < (u8)b); MIX((i8)((i8)a * (i8)b));
    MIX((u8)a / ((u8)b | 1)); MIX(__builtin_popcount(p)))
K(bits, u32 x = a; u32 y = b; u32 z = c; MIX((x & y) | (~x & z)); MIX((x ^ y) & ~z); MIX((x >> 5) & 0x7ff);
  MIX((i32)(x << 3) >> 13); MIX((x & ~0xff00u) | ((y & 0xff) << 8)); MIX(x << 7 | y >> 25);
  MIX(__builtin_rotateleft32(x, y & 31)); MIX(__builtin_rotateright64(a, b & 63)); MIX((x << 16) | (y & 0xffff));
  MIX((x >> 24) | (y << 8)); MIX((u32)((a << 32 | y) >> (z & 31))))
K(floats, float x = f32(a); float y = f32(b); float z = f32(c); MIX(b32(x + y)); MIX(b32(x - y)); MIX(b32(x * y));
  MIX(b32(__builtin_fmaf(x, y, z))); MIX(b32(x / y)); MIX(b32(__builtin_sqrtf(x))); MIX(x < y); MIX(x <= y);
  MIX(x == y); MIX(x != y); MIX(!(x < y)); MIX(x > z || y >= z); MIX(__builtin_isunordered(x, y));
  MIX(b32(__builtin_fabsf(x))); MIX(b32(-x)); MIX(b32(__builtin_copysignf(x, y)));
  if (x != y) MIX(b32(__builtin_fminf(x, y))); if (x != z) MIX(b32(__builtin_fmaxf(x, z)));
  MIX(b32(__builtin_floorf(x))); MIX(b32(__builtin_ceilf(x))); MIX(b32(__builtin_truncf(x)));
  MIX(b32(__builtin_rintf(x))); MIX(b32(x < y ? x : z)); MIX(__builtin_isnan(x)); MIX(__builtin_isinf(y)))
K(doubles, double x = f64(a); double y = f64(b); double z = f64(c); MIX(b64(x + y)); MIX(b64(x - y)); MIX(b64(x * y));
  MIX(b64(__builtin_fma(x, y, z))); MIX(b64(x / y)); MIX(b64(__builtin_sqrt(x))); MIX(x < y); MIX(x == y);
  MIX(!(x >= y)); MIX(b64(__builtin_fabs(x))); MIX(b64(__builtin_copysign(x, y)));
  if (x != y) MIX(b64(__builtin_fmin(x, y))); MIX(b64(__builtin_floor(x))); MIX(b64(__builtin_rint(x)));
  MIX(b32((float)x)); MIX(b64((double)f32(a))))
static inline int ok(float x, float lo, float hi) { return x > lo && x < hi; }
K(
    convert, float x = f32(a); double y = f64(b); MIX(b32((float)(i32)a)); MIX(b32((float)(u32)a));
    MIX(b32((float)(i64)b)); MIX(b32((float)c)); MIX(b64((double)(i32)a)); MIX(b64((double)(u32)a));
    MIX(b64((double)(i64)b)); MIX(b64((double)c)); MIX(b32((float)(i16)a)); MIX(b32((float)(u16)a));
    MIX(b32((float)(i8)a)); MIX(b32((float)(u8)a)); if (ok(x, -2e9f, 2e9f)) MIX((i32)x);
    if (ok(x, 0, 4e9f)) MIX((u32)x); if (ok(x, -9e18f, 9e18f)) MIX((i64)x); if (ok(x, 0, 1.8e19f)) MIX((u64)x);
    if (ok(x, -30000, 30000)) MIX((i16)x); if (ok(x, -120, 120)) MIX((i8)x); if (y > -2e9 && y < 2e9) MIX((i32)y);
    if (y > -9e18 && y < 9e18) MIX((i64)y); MIX((i64)(i32)a); MIX((u64)(u32)a); MIX((i32)(i16)a); MIX((i64)(i8)a);
    if (ok(x, -2e9f, 2e9f)) {
      MIX((i32)__builtin_rintf(x));
      MIX((i32)__builtin_floorf(x));
      MIX((i32)__builtin_ceilf(x));
    })
static inline _Float16 h16(u64 x) {
  u16 v = x;
  _Float16 f;
  __builtin_memcpy(&f, &v, 2);
  return f;
}
static inline u16 hb(_Float16 f) {
  u16 v;
  __builtin_memcpy(&v, &f, 2);
  return f != f ? 0x7fff : v;
}
K(halfs, _Float16 x = h16(a); _Float16 y = h16(b); _Float16 z = h16(c); MIX(hb(x + y)); MIX(hb(x - y)); MIX(hb(x * y));
  MIX(x < y); MIX(x == y); MIX(b32((float)x)); MIX(hb((_Float16)f32(a))); MIX(hb(-x)); MIX(hb((_Float16)(i32)(i16)a));
  MIX(b64((double)x)); MIX(hb(x < y ? y : z)); if (x > -2000 && x < 2000) MIX((i32)x))
typedef _Float16 h2 __attribute__((ext_vector_type(2)));
K(halfpairs, u32 xa = a; u32 ya = b; h2 x; h2 y; __builtin_memcpy(&x, &xa, 4); __builtin_memcpy(&y, &ya, 4);
  h2 s = x + y; h2 d = x - y; h2 p = x * y; MIX(hb(s.x)); MIX(hb(s.y)); MIX(hb(d.x)); MIX(hb(d.y)); MIX(hb(p.x));
  MIX(hb(p.y)))
// Hosts without bfloat16 round from float themselves.
#ifdef __NVPTX__
typedef __bf16 Brain;
static inline float wide(Brain x) { return (float)x; }
static inline Brain narrow(float x) { return (Brain)x; }
static inline Brain brainOf(u64 x) {
  u16 v = x;
  Brain f;
  __builtin_memcpy(&f, &v, 2);
  return f;
}
static inline u16 brainBits(Brain f) {
  u16 v;
  __builtin_memcpy(&v, &f, 2);
  return wide(f) != wide(f) ? 0x7fff : v;
}
#define BRAIN(x, op, y) ((x)op(y))
#else
typedef u16 Brain;
static inline float wide(Brain x) { return f32((u64)x << 16); }
static inline Brain narrow(float x) {
  u32 v;
  __builtin_memcpy(&v, &x, 4);
  return x != x ? 0x7fff : (v + 0x7fff + (v >> 16 & 1)) >> 16;
}
static inline Brain brainOf(u64 x) { return x; }
static inline u16 brainBits(Brain f) { return wide(f) != wide(f) ? 0x7fff : f; }
#define BRAIN(x, op, y) narrow(wide(x) op wide(y))
#endif
K(brains, Brain x = brainOf(a); Brain y = brainOf(b); MIX(brainBits(BRAIN(x, +, y))); MIX(brainBits(BRAIN(x, -, y)));
  MIX(brainBits(BRAIN(x, *, y))); MIX(b32(wide(x))); MIX(brainBits(narrow(f32(a)))); MIX(wide(x) < wide(y)))
static NOINLINE u64 helper(u64 x, u32 y) {
  u64 r = x;
  for (u32 i = 0; i < (y & 15); ++i)
    r = r * 6364136223846793005ull + i;
  return r;
}
struct Big {
  u64 v[5];
};
static NOINLINE struct Big big(u64 x, struct Big in) {
  struct Big o;
  for (int i = 0; i < 5; ++i)
    o.v[i] = in.v[4 - i] ^ x * i;
  return o;
}
K(calls, MIX(helper(a, b)); MIX(helper(b, c)); struct Big q = {{a, b, c, a ^ b, b ^ c}}; struct Big o = big(a, q);
  for (int i = 0; i < 5; ++i) MIX(o.v[i]); if (a & 1) MIX(helper(c, a)); else MIX(helper(a, c)))
static const u32 table[64] = {1,  5,  9,  2,  8,  3,  7,  4,  99, 12, 43, 54, 65, 76, 87, 98, 1,  5,  9,  2,  8,  3,
                              7,  4,  99, 12, 43, 54, 65, 76, 87, 98, 1,  5,  9,  2,  8,  3,  7,  4,  99, 12, 43, 54,
                              65, 76, 87, 98, 1,  5,  9,  2,  8,  3,  7,  4,  99, 12, 43, 54, 65, 76, 87, 98};
static const u32 *const pointers[4] = {table, table + 3, table + 17, table + 30};
K(
    locals, u32 t[32]; for (int i = 0; i < 32; ++i) t[i] = (u32)(a >> (i & 31)) + table[(b >> i) & 63];
    for (int i = 0; i < 32; ++i) {
      u32 j = (c >> i) & 31;
      u32 v = t[i];
      t[i] = t[j];
      t[j] = v + i;
    } for (int i = 0; i < 32; ++i) MIX(t[i]);
    MIX(pointers[a & 3][b & 15]))
K(
    branches, u64 x = a; for (int i = 0; i < (int)(b & 31); ++i) {
      if (x & 1) {
        x = x * 3 + 1;
        if (x & 4)
          continue;
      } else
        x >>= 1;
      switch (x & 7) {
      case 0:
        x += 17;
        break;
      case 1:
        x ^= c;
        break;
      case 2:
        x = (x << 3) | (x >> 61);
        break;
      case 3:
        x -= b;
        break;
      case 4:
        x *= 5;
        break;
      case 5:
        x ^= x >> 11;
        break;
      default:
        if (x % 11 == 3)
          goto out;
      }
      r += x;
    } out : MIX(x))
