"""Kernels for every architecture, compiled by LLVM, in the emulator: exact results under many schedules, and each of a set of mutations caught."""
import functools
import re
import shutil
import subprocess

import numpy as np
import pytest
from emulator import ROOT, TOOL, TensorMap, emulate

CLANG = shutil.which("clang-22") or "/usr/lib/llvm-22/bin/clang"
pytestmark = pytest.mark.skipif(not TOOL.exists() or not shutil.which(CLANG), reason="needs ptxemu and clang 22")
FEATURES = {80: ("sm_80", "ptx80"), 90: ("sm_90a", "ptx83"), 100: ("sm_100a", "ptx88"), 120: ("sm_120a", "ptx88")}
random = np.random.default_rng(0)


@functools.lru_cache(None)
def compiled(target):
    architecture, version = FEATURES[target]
    command = [CLANG, "--target=nvptx64-nvidia-cuda", f"-march={architecture}", "-Xclang", "-target-feature", "-Xclang", f"+{version}",
               f"-DTARGET={target}", "-O2", "-S", "-nogpulib", "-o", "-", ROOT / "test/gpu/kernels/kernels.c"]
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def small_floats(shape):
    """Integers from -7 to 7 as e4m3: bits and values."""
    values = random.integers(-7, 8, shape)
    exponent = np.floor(np.log2(np.maximum(abs(values), 1))).astype(int)
    bits = np.where(values == 0, 0, ((exponent + 7) << 3) + ((abs(values) - (1 << exponent)) << 3 >> exponent))
    return (bits | np.where(values < 0, 128, 0)).astype(np.uint8), values.astype(np.float64)


class Outcome:
    def __init__(self, got, wanted, run):
        self.exact = bool(np.array_equal(got, wanted))
        self.findings = run.findings

    @property
    def good(self):
        return self.exact and not self.findings


def reduce(ptx, **options):
    x, y = random.integers(-9, 9, 1024).astype(np.float32), np.zeros(8, np.float32)
    run = emulate(ptx, "reduce", [8], [128], [x, y], **options)
    return Outcome(y, x.reshape(8, 128).sum(1), run)


def product80(ptx, **options):
    a, b, c = random.integers(-9, 9, (16, 80)).astype(np.float16), random.integers(-9, 9, (8, 80)).astype(np.float16), np.zeros((16, 8), np.float32)
    run = emulate(ptx, "product80", [1], [32], [a, b, c, 80], **options)
    return Outcome(c, a.astype(np.float64) @ b.astype(np.float64).T, run)


def product90(ptx, outside=0, swizzle=128, shared=32768, **options):
    m, n, k = 128, 64, 512
    (a, x), (b, y), c = small_floats((m - outside, k)), small_floats((n - outside, k)), np.full((m, n), -1, np.float32)
    run = emulate(ptx, "product90", [2, 1], [160], [TensorMap(a, (128, 64), swizzle), TensorMap(b, (128, 64), swizzle), c, k // 128, n], shared=shared, **options)
    wanted = np.zeros((m, n))
    wanted[:m - outside, :n - outside] = x @ y.T
    return Outcome(c, wanted, run)


def product100(ptx, **options):
    m, n, k = 128, 128, 192
    a, b, c = random.integers(-4, 5, (m, k)).astype(np.float16), random.integers(-4, 5, (n, k)).astype(np.float16), np.full((m, n), -1, np.float32)
    run = emulate(ptx, "product100", [1, 2], [128], [TensorMap(a, (64, 128), 128), TensorMap(b, (64, 64), 128), c, k // 64, n], shared=24576, **options)
    return Outcome(c, a.astype(np.float64) @ b.astype(np.float64).T, run)


def scaled120(ptx, **options):
    """Fragments are packed from the documented layout, not by the emulator's code."""
    numbers = np.array([0, .5, 1, 1.5, 2, 3, 4, 6])
    value = lambda bits: np.where(bits & 8, -1, 1) * numbers[bits & 7]
    a, b = random.integers(0, 16, (16, 64)), random.integers(0, 16, (8, 64))
    aScale, bScale = random.integers(5, 9, (16, 4)), random.integers(5, 9, (8, 4))  # exponents of ue4m3, bias 7
    pack = lambda nibbles: sum(int(x) << 4 * i for i, x in enumerate(nibbles))
    factors = lambda exponents: sum(int(x) << 3 << 8 * i for i, x in enumerate(exponents))
    x, y, u, v = np.zeros((32, 4), np.uint32), np.zeros((32, 2), np.uint32), np.full(32, 0x7f7f7f7f, np.uint32), np.full(32, 0x7f7f7f7f, np.uint32)
    for lane in range(32):
        g, t = lane // 4, lane % 4
        x[lane] = [pack(a[g + 8 * (r & 1), (r >> 1) * 32 + t * 8:][:8]) for r in range(4)]
        y[lane] = [pack(b[g, r * 32 + t * 8:][:8]) for r in range(2)]
        if t < 2:
            u[lane] = factors(aScale[g + 8 * t])
        if t == 0:
            v[lane] = factors(bScale[g])
    c = np.zeros((16, 8), np.float32)
    run = emulate(ptx, "scaled120", [1], [32], [x, y, u, v, c], **options)
    scaled = lambda bits, exponents: value(bits) * np.repeat(2.0 ** (exponents - 7), 16, 1)
    return Outcome(c, scaled(a, aScale) @ scaled(b, bScale).T, run)


KERNELS = {"reduce": (80, reduce), "product80": (80, product80), "product90": (90, product90), "product100": (100, product100), "scaled120": (120, scaled120)}


@pytest.mark.parametrize("name", KERNELS)
def test_exact_under_many_schedules(name):
    target, run = KERNELS[name]
    outcome = run(compiled(target), seeds=10)
    assert outcome.findings == [] and outcome.exact


def test_rows_outside_of_the_tensor_are_zero():
    assert product90(compiled(90), outside=7).good


def drop(pattern, index=0):
    """Without a statement that contains the pattern; of those, the one with the index."""
    def mutate(ptx):
        match = list(re.finditer(rf"[^;{{}}\n]*{pattern}[^;]*;", ptx))[index]
        return ptx[:match.start()] + " " * (match.end() - match.start()) + ptx[match.end():]
    return mutate


def swap(pattern, replacement, count=1):
    """The first places of the pattern replaced; 0 replaces all."""
    def mutate(ptx):
        broken, times = re.subn(pattern, replacement, ptx, count=count)
        assert times, pattern
        return broken
    return mutate


def in_kernel(name, mutate, ptx):
    """Only in the kernel's own text."""
    begin = ptx.index(f".entry {name}(")
    end = ptx.find(".visible .entry", begin)
    end = len(ptx) if end < 0 else end
    return ptx[:begin] + mutate(ptx[begin:end]) + ptx[end:]


MUTATIONS = [
    ("reduce", "no barrier before the loop", drop(r"bar\.sync"), {}),
    ("reduce", "no barrier in the loop", drop(r"bar\.sync", 1), {}),
    ("reduce", "half of the warps skip a barrier", swap(r"bar\.sync\s+0;", "{ .reg .pred s; .reg .b32 t; mov.u32 t, %tid.x; setp.ge.u32 s, t, 64; @s bar.sync 0; }"), {}),
    ("reduce", "half of a warp skips a barrier", swap(r"bar\.sync\s+0;", "{ .reg .pred s; .reg .b32 t; mov.u32 t, %tid.x; and.b32 t, t, 16; setp.eq.u32 s, t, 0; @s bar.sync 0; }"), {}),
    ("reduce", "a read one past the end", swap(r"ld\.global\.b32(\s+%\w+), \[(%rd\d+)\]", r"ld.global.b32\1, [\2+4]"), {}),
    ("product80", "no wait for copies", drop(r"cp\.async\.wait_group"), {}),
    ("product80", "waits for one group too few", swap(r"cp\.async\.wait_group 1", "cp.async.wait_group 2"), {}),
    ("product80", "no commit", drop(r"cp\.async\.commit_group"), {}),
    ("product80", "a wrong stride of rows", swap(r"(ldmatrix[^;]*x4[^;]*\[%r\d+)\]", r"\1+16]"), {}),
    ("product80", "a misaligned row", swap(r"(ldmatrix[^;]*x4[^;]*\[%r\d+)\]", r"\1+8]"), {}),
    ("product90", "expect_tx one byte short", swap(r"(expect_tx[^;]*, )(%r\d+);", r"\g<1>16383;"), {}),
    ("product90", "expect_tx one byte long", swap(r"(expect_tx[^;]*, )(%r\d+);", r"\g<1>16385;"), {}),
    ("product90", "no wgmma.fence", drop(r"wgmma\.fence"), {}),
    ("product90", "no wgmma.commit_group", drop(r"wgmma\.commit_group"), {}),
    ("product90", "no wgmma.wait_group", drop(r"wgmma\.wait_group"), {}),
    ("product90", "the buffer is never freed", drop(r"mbarrier\.arrive\.shared"), {}),
    ("product90", "the buffer is freed at once", swap(r"wgmma\.wait_group\.sync\.aligned 0", "wgmma.wait_group.sync.aligned 1"), {}),
    ("product90", "no wait for a full buffer", swap(r"(@!p bra again;)", r"// \1", count=0), {}),
    ("product90", "a count of 127", swap(r"(mbarrier\.init\.shared\.b64 \[[^;]*, )(%r\d+|128);", r"\g<1>127;", count=0), {}),
    ("product90", "no barrier after the mbarriers' init", drop(r"bar\.sync"), {}),
    ("product90", "the descriptor's swizzle is 64 bytes", swap(str((1 << 62) | (64 << 32) | (1 << 16)), str((2 << 62) - (1 << 64) | (64 << 32) | (1 << 16)), count=0), {}),
    ("product90", "the descriptor's stride is 512", swap(str((1 << 62) | (64 << 32) | (1 << 16)), str((1 << 62) | (32 << 32) | (1 << 16)), count=0), {}),
    ("product90", "the tensor map does not swizzle", swap("", ""), {"swizzle": 0}),
    ("product90", "half of the shared memory", swap("", ""), {"shared": 16384}),
    ("product90", "old sums are never added to", swap(r"setp\.ne\.b32 p, %r\d+, 0;", "setp.ne.b32 p, 0, 0;", count=0), {}),
    ("product100", "no commit", drop(r"tcgen05\.commit"), {}),
    ("product100", "no wait for the products", swap(r"(?s)(.*)mbarrier\.try_wait[^;]*;", r"\1setp.eq.b32 p, 0, 0;"), {}),
    ("product100", "no tcgen05.wait::ld", drop(r"tcgen05\.wait::ld"), {}),
    ("product100", "tensor memory is not deallocated", drop(r"tcgen05\.dealloc"), {}),
    ("product100", "too few columns", swap(r"(tcgen05\.(de)?alloc[^;]*), 64", r"\1, 32", count=0), {}),
    ("product100", "another quarter of the lanes", swap(r"(tcgen05\.ld[^;]*\[%r\d+)\]", r"\1+2097152]", count=0), {}),
    ("product100", "N of 128 in the instruction descriptor", swap(str(1 << 4 | 64 // 8 << 17 | 128 // 16 << 24), str(1 << 4 | 128 // 8 << 17 | 128 // 16 << 24), count=0), {}),
    ("scaled120", "another selector of the thread", swap(r"mov\.b16 thread, 0", "mov.b16 thread, 1"), {}),
    ("scaled120", "another selector of the byte", swap(r"mov\.b16 first, 0", "mov.b16 first, 1"), {}),
    ("scaled120", "another type of the factors", swap(r"f32\.ue4m3", "f32.ue8m0"), {}),
]


@pytest.mark.parametrize("name, what, mutate, options", MUTATIONS, ids=[f"{name}: {what}" for name, what, *_ in MUTATIONS])
def test_mutation_is_caught(name, what, mutate, options):
    target, run = KERNELS[name]
    try:
        outcome = run(in_kernel(name, mutate, compiled(target)), seeds=4, **options)
    except ValueError as error:  # the tool refuses the text or a tensor map
        assert "not understood" not in str(error)
        return
    assert outcome.findings or not outcome.exact
