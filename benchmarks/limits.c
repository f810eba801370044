/* What one core of this machine does at most, for benchmarks to be measured against. Prints one figure a line:
 *   read      bytes a second read from memory, a 1 GiB buffer, one stream
 *   fma       multiply-adds a second in float32
 *   vpdpbusd  multiply-adds a second of bytes, where the processor has the instruction
 * Each is the best of several rounds. Build: cc -O3 -march=native limits.c */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { rounds = 9, sums = 12, steps = 1 << 20 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

typedef float floats __attribute__((vector_size(64)));
typedef long long integers __attribute__((vector_size(64)));

static double readRate(void) {
  const size_t bytes = (size_t)1 << 30, vectors = bytes / sizeof(integers);
  integers *buffer = aligned_alloc(1 << 21, bytes);
  if (!buffer)
    return 0;
  memset(buffer, 1, bytes);
  double best = 0;
  for (int round = 0; round < rounds; ++round) {
    double begun = now();
    integers sum[8] = {0};
    for (size_t i = 0; i < vectors; i += 8)
      for (int j = 0; j < 8; ++j)
        sum[j] += buffer[i + j];
    integers total = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
    volatile long long sink = total[0];
    (void)sink;
    double rate = (double)bytes / (now() - begun);
    best = rate > best ? rate : best;
  }
  free(buffer);
  return best;
}

static double fmaRate(void) {
  double best = 0;
  for (int round = 0; round < rounds; ++round) {
    floats sum[sums], x = {0}, y = {0};
    for (int j = 0; j < sums; ++j)
      sum[j] = (floats){(float)j};
    x += 0.5f + (float)round, y += 0.25f;
    double begun = now();
    for (long i = 0; i < steps; ++i) {
      for (int j = 0; j < sums; ++j)
        sum[j] = sum[j] * x + y;
      __asm__ volatile("" : "+x"(x));
    }
    double rate = 16.0 * sums * steps / (now() - begun);
    floats total = {0};
    for (int j = 0; j < sums; ++j)
      total += sum[j];
    volatile float sink = total[0];
    (void)sink;
    best = rate > best ? rate : best;
  }
  return best;
}

#ifdef __AVX512VNNI__
static double dotRate(void) {
  double best = 0;
  for (int round = 0; round < rounds; ++round) {
    __m512i sum[sums], a = _mm512_set1_epi8((char)(round + 1)), b = _mm512_set1_epi8(1);
    for (int j = 0; j < sums; ++j)
      sum[j] = _mm512_set1_epi32(j);
    double begun = now();
    for (long i = 0; i < steps; ++i) {
      for (int j = 0; j < sums; ++j)
        sum[j] = _mm512_dpbusd_epi32(sum[j], a, b);
      __asm__ volatile("" : "+x"(a));
    }
    double rate = 64.0 * sums * steps / (now() - begun);
    __m512i total = sum[0];
    for (int j = 1; j < sums; ++j)
      total = _mm512_add_epi32(total, sum[j]);
    volatile int sink = _mm512_reduce_add_epi32(total);
    (void)sink;
    best = rate > best ? rate : best;
  }
  return best;
}
#endif

int main(void) {
  printf("read %.0f\n", readRate());
  printf("fma %.0f\n", fmaRate());
#ifdef __AVX512VNNI__
  printf("vpdpbusd %.0f\n", dotRate());
#endif
  return 0;
}
