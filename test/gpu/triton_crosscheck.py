#!/usr/bin/env python3
"""Runs PTX of an independent compiler in ptxemu: kernels whose authors wrote neither the emulator nor its reading of the
instructions. Not part of the test suites: needs triton 3.9.0, numpy and ml_dtypes (no GPU).

    triton_crosscheck.py [PATTERN]      only the cases whose name contains the pattern

Results of integer-valued data are compared exactly. Exit status 1 if one differs or something was found.
"""
import re
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from emulator import TensorMap, emulate  # noqa: E402

NUMPY = {"fp16": np.float16, "bf16": ml_dtypes.bfloat16, "fp32": np.float32, "fp8e4nv": ml_dtypes.float8_e4m3fn,
         "fp8e5": ml_dtypes.float8_e5m2, "i8": np.int8}
EXTENTS = {"M": "i32", "N": "i32", "K": "i32"}
random = np.random.default_rng(0)
failures = 0


@triton.jit
def product(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SUM: tl.constexpr, ROWS: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    depth = tl.arange(0, BK)
    total = tl.zeros((BM, BN), SUM)
    for k in range(0, K, BK):
        x = tl.load(a + rows[:, None] * K + k + depth[None, :])
        if ROWS:
            y = tl.load(b + (k + depth[:, None]) * N + columns[None, :])
        else:
            y = tl.load(b + columns[None, :] * K + k + depth[:, None])
        total = tl.dot(x, y, total, input_precision="tf32", out_dtype=SUM)
    tl.store(c + rows[:, None] * N + columns[None, :], total)


@triton.jit
def tiles(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    row = tl.program_id(0) * BM
    column = tl.program_id(1) * BN
    total = tl.zeros((BM, BN), tl.float32)
    for k in range(0, K, BK):
        total = tl.dot(a.load([row, k]), b.load([column, k]).T, total)
    tl.store(c + (row + tl.arange(0, BM))[:, None] * N + (column + tl.arange(0, BN))[None, :], total)


@triton.jit
def tile_copy(a, b, BM: tl.constexpr, BN: tl.constexpr):
    row = tl.program_id(0) * BM
    column = tl.program_id(1) * BN
    b.store([row, column], a.load([row, column]) + 1.0)


@triton.jit
def scaled(a, b, aScale, bScale, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
           AE: tl.constexpr, BE: tl.constexpr, BLOCK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    blocks = tl.arange(0, BK // BLOCK)
    total = tl.zeros((BM, BN), tl.float32)
    for k in range(0, K, BK):
        x = tl.load(a + rows[:, None] * (K // AE) + k // AE + tl.arange(0, BK // AE)[None, :])
        y = tl.load(b + columns[:, None] * (K // BE) + k // BE + tl.arange(0, BK // BE)[None, :])
        u = tl.load(aScale + rows[:, None] * (K // BLOCK) + k // BLOCK + blocks[None, :])
        v = tl.load(bScale + columns[:, None] * (K // BLOCK) + k // BLOCK + blocks[None, :])
        total = tl.dot_scaled(x, u, A, y.T, v, B, total)
    tl.store(c + rows[:, None] * N + columns[None, :], total)


@triton.jit
def scaled_tiles(a, b, aScale, bScale, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, F: tl.constexpr, E: tl.constexpr,
                 BLOCK: tl.constexpr):
    row = tl.program_id(0)
    column = tl.program_id(1)
    total = tl.zeros((BM, BN), tl.float32)
    RM: tl.constexpr = BM // 128
    RN: tl.constexpr = BN // 128
    RK: tl.constexpr = BK // BLOCK // 4
    for k in tl.range(0, K, BK):
        x = a.load([row * BM, k // E])
        y = b.load([column * BN, k // E])
        u = aScale.load([0, row * RM, k // BLOCK // 4, 0, 0]).reshape(RM, RK, 32, 4, 4).trans(0, 3, 2, 1, 4).reshape(BM, BK // BLOCK)
        v = bScale.load([0, column * RN, k // BLOCK // 4, 0, 0]).reshape(RN, RK, 32, 4, 4).trans(0, 3, 2, 1, 4).reshape(BN, BK // BLOCK)
        total = tl.dot_scaled(x, u, F, y.T, v, F, total)
    tl.store(c + (row * BM + tl.arange(0, BM))[:, None] * N + (column * BN + tl.arange(0, BN))[None, :], total)


@triton.jit
def attention(q, k, v, o, S, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    inner = tl.arange(0, D)
    x = tl.load(q + rows[:, None] * D + inner[None, :])
    most = tl.full((BM,), -1e30, tl.float32)
    sums = tl.zeros((BM,), tl.float32)
    total = tl.zeros((BM, D), tl.float32)
    for n in range(0, S, BN):
        columns = n + tl.arange(0, BN)
        s = tl.dot(x, tl.load(k + columns[None, :] * D + inner[:, None])) * 0.125
        s = tl.where(rows[:, None] >= columns[None, :], s, -1e30)
        newMost = tl.maximum(most, tl.max(s, 1))
        p = tl.exp(s - newMost[:, None])
        scale = tl.exp(most - newMost)
        sums = sums * scale + tl.sum(p, 1)
        total = total * scale[:, None] + tl.dot(p.to(tl.float16), tl.load(v + columns[:, None] * D + inner[None, :])).to(tl.float32)
        most = newMost
    tl.store(o + rows[:, None] * D + inner[None, :], total / sums[:, None])


@triton.jit
def layer_norm(x, w, y, N: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, N)
    v = tl.load(x + row * N + columns)
    mean = tl.sum(v, 0) / N
    d = v - mean
    variance = tl.sum(d * d, 0) / N
    tl.store(y + row * N + columns, d * tl.rsqrt(variance + 1e-5) * tl.load(w + columns))


@triton.jit
def nibbles(a, b, scale, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    depth = tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.float32)
    for k in range(0, K, BK):
        x = tl.load(a + rows[:, None] * K + k + depth[None, :])
        packed = tl.load(b + columns[None, :] * (K // 2) + (k + depth[:, None]) // 2)
        y = ((packed >> ((depth[:, None] % 2) * 4)) & 15).to(tl.float16) - 8.0
        total = tl.dot(x, y * tl.load(scale + columns)[None, :], total)
    tl.store(c + rows[:, None] * N + columns[None, :], total)


def compiled(kernel, target, types, constants, **options):
    names = kernel.arg_names
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(names) if types.get(name, "")[:1] == "*" or types.get(name) == "i32"}
    source = ASTSource(kernel, signature={name: "constexpr" if name in constants else types[name] for name in names}, constexprs=constants,
                       attrs=aligned)
    result = triton.compile(source, target=GPUTarget("cuda", target, 32), options={"num_warps": 4, "num_stages": 3} | options)
    return result.asm["ptx"], result.metadata.shared


def integers(shape, kind):
    return random.integers(-4, 5, shape).astype(np.float32).astype(NUMPY[kind])


def exact(array):
    return array.astype(np.float64)


def unpacked(array):
    halves = [half.astype(np.uint8).view(ml_dtypes.float4_e2m1fn) for half in (array & 15, array >> 4)]
    return exact(np.stack(halves, -1).reshape(len(array), -1))


def check(name, got, wanted, findings, tolerance=0.0):
    global failures
    error = np.abs(exact(got) - wanted).max()
    good = error <= tolerance and not findings
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: largest error {error:g}", *[f"\n       {line[:400]}" for line in findings[:3]], flush=True)


def check_broken(name, findings, got, wanted):
    global failures
    caught = bool(findings) or not np.array_equal(exact(got), wanted)
    failures += not caught
    print(f"{'ok  ' if caught else 'FAIL'} broken on purpose, {name}:", findings[0][:200] if findings else "wrong numbers" if caught else "unnoticed",
          flush=True)


def map_of(array, rows):
    span = min(128, array.shape[-1] * array.itemsize)
    return TensorMap(array, (span // array.itemsize, rows), span)


def tensor_cases():
    kinds = [(90, "fp8e4nv", 128), (90, "fp16", 64), (100, "fp8e4nv", 128), (100, "fp16", 64), (120, "fp8e4nv", 128), (120, "fp16", 64)]
    kinds += [(target, kind, depth) for target in (90, 100, 120) for kind, depth in (("fp16", 32), ("fp16", 16), ("fp8e4nv", 64), ("fp8e4nv", 32))]
    for target, kind, depth in kinds:
        yield f"sm_{target} tiles {kind} depth {depth}", lambda name, target=target, kind=kind, depth=depth: tensor_case(name, target, kind, depth)


def tensor_case(name, target, kind, depth):
    ptx, shared = compiled(tiles, target, {"a": f"tensordesc<{kind}[128,{depth}]>", "b": f"tensordesc<{kind}[64,{depth}]>", "c": "*fp32"} | EXTENTS,
                           {"BM": 128, "BN": 64, "BK": depth})
    m, n, k = 256, 128, 512
    for seed in (1, 2, 3):
        a, b, c = integers((m, k), kind), integers((n, k), kind), np.full((m, n), np.nan, np.float32)
        span = min(128, depth * a.itemsize)
        described = lambda x, rows: [TensorMap(x, (span // x.itemsize, rows), span), *x.shape, x.shape[1], 1]
        run = emulate(ptx, "tiles", [2, 2], [128], described(a, 128) + described(b, 64) + [c, m, n, k], shared=shared, seed=seed)
        check(f"{name} seed {seed}", c, exact(a) @ exact(b).T, run.findings)


def store_case(name, target):
    ptx, shared = compiled(tile_copy, target, {"a": "tensordesc<fp32[32,32]>", "b": "tensordesc<fp32[32,32]>"}, {"BM": 32, "BN": 32})
    a, b = integers((60, 64), "fp32"), np.full((60, 64), np.nan, np.float32)
    described = lambda x: [TensorMap(x, (32, 32), 128), *x.shape, x.shape[1], 1]
    run = emulate(ptx, "tile_copy", [2, 2], [128], described(a) + described(b), shared=shared, seeds=3)
    check(name, b, exact(a) + 1, run.findings)


BREAKAGES = {
    (90, "bf16"): [("no fence.proxy.async", "fence.proxy.async", "//"), ("no wgmma.fence", r"wgmma\.fence", "//"),
                   ("no wgmma.wait_group", r"wgmma\.wait_group", "//")],
    (100, "bf16"): [("no fence.proxy.async", "fence.proxy.async", "//"), ("no tcgen05.commit", r"\n[^\n]*tcgen05.commit[^\n]*", "\n"),
                    ("waits on mbarriers answered at once", r"mbarrier.try_wait.parity.shared::cta.b64 complete,", "mov.pred complete, 1; //")],
    (80, "fp32"): [("no barriers", "bar.sync", "//"), ("wait_group never waits", r"cp.async.wait_group\s+\d", "cp.async.wait_group 9")],
    (86, "bf16"): [("ldmatrix address + 8", r"(ldmatrix[^\[]*\[%r\d+)\]", r"\1+8]")],
}


def product_case(name, target, kind, rows):
    ptx, shared = compiled(product, target, {"a": "*" + kind, "b": "*" + kind, "c": "*i32" if kind == "i8" else "*fp32"} | EXTENTS,
                           {"BM": 128, "BN": 64, "BK": 64, "SUM": tl.int32 if kind == "i8" else tl.float32, "ROWS": rows})
    m, n, k = 256, 128, 256
    a, b = integers((m, k), kind), integers((k, n) if rows else (n, k), kind)
    wanted = exact(a) @ (exact(b) if rows else exact(b).T)

    def run(text):
        c = np.full((m, n), -77, np.int32 if kind == "i8" else np.float32)
        return c, emulate(text, "product", [2, 2], [128], [a, b, c, m, n, k], shared=shared, seeds=2).findings

    c, findings = run(ptx)
    check(name, c, wanted, findings)
    for what, pattern, by in BREAKAGES.get((target, kind), []):
        broken = re.sub(pattern, by, ptx)
        assert broken != ptx, what
        c, findings = run(broken)
        check_broken(f"{name}, {what}", findings, c, wanted)


def scales(count, columns, block):
    if block == 32:
        return random.integers(125, 130, (count, columns)).astype(np.uint8)
    return random.choice([.5, 1, 1.5, 2, 3], (count, columns)).astype(np.float32).astype(NUMPY["fp8e4nv"])


def factor(array, block):
    return np.repeat(exact(array.view(ml_dtypes.float8_e8m0fnu) if array.dtype == np.uint8 else array), block, 1)


def scaled_case(name, target, first, second, block):
    m, n, k = 256, 128, 256
    kinds = {"a": first, "b": second}
    packed = {key: 2 if kind == "e2m1" else 1 for key, kind in kinds.items()}
    pointer = lambda key: "*u8" if packed[key] == 2 else "*fp8e4nv"
    scale = "*u8" if block == 32 else "*fp8e4nv"
    ptx, shared = compiled(scaled, target, {"a": pointer("a"), "b": pointer("b"), "aScale": scale, "bScale": scale, "c": "*fp32"} | EXTENTS,
                           {"BM": 128, "BN": 128, "BK": 128, "A": first, "B": second, "AE": packed["a"], "BE": packed["b"], "BLOCK": block}, num_stages=2)
    make = lambda key, rows: random.integers(0, 256, (rows, k // 2)).astype(np.uint8) if packed[key] == 2 else integers((rows, k), "fp8e4nv")
    values = lambda key, array: unpacked(array) if packed[key] == 2 else exact(array)
    a, b, u, v, c = make("a", m), make("b", n), scales(m, k // block, block), scales(n, k // block, block), np.full((m, n), np.nan, np.float32)
    run = emulate(ptx, "scaled", [2, 1], [128], [a, b, u, v, c, m, n, k], shared=shared)
    check(name, c, (values("a", a) * factor(u, block)) @ (values("b", b) * factor(v, block)).T, run.findings)


def scaled_tensor_case(name, kind, block):
    m, n, k = 256, 128, 512
    e = 2 if kind == "e2m1" else 1
    element = "u8" if e == 2 else "fp8e4nv"
    scale = "u8" if block == 32 else "fp8e4nv"
    rk = 128 * e // block // 4
    depth = 128 * e
    boxes = {"a": f"tensordesc<{element}[128,{depth // e}]>", "b": f"tensordesc<{element}[128,{depth // e}]>",
             "aScale": f"tensordesc<{scale}[1,1,{rk},2,256]>", "bScale": f"tensordesc<{scale}[1,1,{rk},2,256]>", "c": "*fp32"}
    ptx, shared = compiled(scaled_tiles, 100, boxes | EXTENTS, {"BM": 128, "BN": 128, "BK": depth, "F": kind, "E": e, "BLOCK": block}, num_stages=2)
    make = lambda rows: random.integers(0, 256, (rows, k // 2)).astype(np.uint8) if e == 2 else integers((rows, k), "fp8e4nv")
    a, b, u, v, c = make(m), make(n), scales(m, k // block, block), scales(n, k // block, block), np.full((m, n), np.nan, np.float32)

    def atoms(x):  # 128 rows of 4 scales in the order of tensor memory
        rows = len(x) // 128
        return np.ascontiguousarray(x.reshape(rows, 4, 32, k // block // 4, 4).transpose(0, 3, 2, 1, 4)).reshape(1, rows, k // block // 4, 2, 256)

    def described(x, box, swizzle):
        strides = [int(np.prod(x.shape[i + 1:])) for i in range(x.ndim)]
        return [TensorMap(x, box, swizzle), *x.shape, *strides]

    ua, va = atoms(u), atoms(v)
    arguments = described(a, (128, 128), 128) + described(b, (128, 128), 128) + described(ua, (256, 2, rk, 1, 1), 0) + described(va, (256, 2, rk, 1, 1), 0)
    run = emulate(ptx, "scaled_tiles", [2, 1], [128], arguments + [c, m, n, k], shared=shared, seeds=2)
    values = unpacked if e == 2 else exact
    check(name, c, (values(a) * factor(u, block)) @ (values(b) * factor(v, block)).T, run.findings)


def attention_case(name, target):
    ptx, shared = compiled(attention, target, {"q": "*fp16", "k": "*fp16", "v": "*fp16", "o": "*fp32", "S": "i32"}, {"D": 64, "BM": 64, "BN": 64}, num_stages=2)
    q, k, v = (random.standard_normal((192, 64)).astype(np.float16) for _ in "qkv")
    o = np.full((192, 64), np.nan, np.float32)
    run = emulate(ptx, "attention", [3], [128], [q, k, v, o, 192], shared=shared, options=["--findings=1000"])
    # The compiler's scheduler moves reads of what tcgen05.ld loads before tcgen05.wait::ld, which the emulator rightly reports.
    findings = [line for line in run.findings if target != 100 or not line.startswith("tcgen05: register")]
    x = exact(q) @ exact(k).T * .125
    x[np.triu_indices(192, 1)] = -np.inf
    x = np.exp(x - x.max(1, keepdims=True))
    check(name, o, (x / x.sum(1, keepdims=True)) @ exact(v), findings, 2e-3)


def layer_norm_case(name, target):
    ptx, shared = compiled(layer_norm, target, {"x": "*fp32", "w": "*fp32", "y": "*fp32"}, {"N": 1024})
    x, w, y = random.standard_normal((4, 1024)).astype(np.float32), random.standard_normal(1024).astype(np.float32), np.zeros((4, 1024), np.float32)
    run = emulate(ptx, "layer_norm", [4], [128], [x, w, y], shared=shared, seeds=3)
    d = exact(x) - exact(x).mean(1, keepdims=True)
    check(name, y, d / np.sqrt((d * d).mean(1, keepdims=True) + 1e-5) * exact(w), run.findings, 1e-5)


def nibble_case(name, target):
    ptx, shared = compiled(nibbles, target, {"a": "*fp16", "b": "*u8", "scale": "*fp16", "c": "*fp32"} | EXTENTS, {"BM": 64, "BN": 64, "BK": 64})
    m, n, k = 128, 64, 128
    a, b, s = integers((m, k), "fp16"), random.integers(0, 256, (n, k // 2)).astype(np.uint8), random.choice([.5, 1, 2], n).astype(np.float16)
    c = np.full((m, n), np.nan, np.float32)
    run = emulate(ptx, "nibbles", [2, 1], [128], [a, b, s, c, m, n, k], shared=shared)
    w = exact(np.stack([b & 15, b >> 4], -1).reshape(n, k)) - 8
    check(name, c, exact(a) @ (w * exact(s)[:, None]).T, run.findings)


def cases():
    yield from tensor_cases()
    for target in (90, 100, 120):
        yield f"sm_{target} tile stores", lambda name, target=target: store_case(name, target)
    kinds = ((75, "fp16", 1), (80, "i8", 0), (80, "fp32", 0), (80, "fp16", 1), (86, "bf16", 1), (89, "fp8e4nv", 0), (90, "i8", 0), (90, "bf16", 1), (90, "fp32", 0),
             (100, "bf16", 1), (100, "fp32", 0), (100, "fp8e5", 0), (120, "bf16", 1))
    for target, kind, rows in kinds:
        yield (f"sm_{target} product {kind}{' rows' if rows else ''}",
               lambda name, target=target, kind=kind, rows=rows: product_case(name, target, kind, rows))
    for target in (120, 100):
        for kind, block in (("e4m3", 32), ("e2m1", 32), ("e2m1", 16)):
            yield (f"sm_{target} scaled {kind} block {block}",
                   lambda name, target=target, kind=kind, block=block: scaled_case(name, target, kind, kind, block))
        yield f"sm_{target} scaled e4m3 with e2m1", lambda name, target=target: scaled_case(name, target, "e4m3", "e2m1", 32)
    for kind, block in (("e4m3", 32), ("e2m1", 32), ("e2m1", 16)):
        yield f"sm_100 scaled tiles {kind} block {block}", lambda name, kind=kind, block=block: scaled_tensor_case(name, kind, block)
    for target in (80, 90, 100, 120):
        yield f"sm_{target} attention", lambda name, target=target: attention_case(name, target)
        yield f"sm_{target} layer norm", lambda name, target=target: layer_norm_case(name, target)
        yield f"sm_{target} four-bit weights", lambda name, target=target: nibble_case(name, target)


def main(pattern):
    global failures
    begin = time.time()
    for name, run in cases():
        if pattern in name:
            try:
                run(name)
            except Exception as error:  # one that cannot run is a failure among others
                failures += 1
                print(f"FAIL {name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
    print(f"{failures} failed, {time.time() - begin:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
