#!/usr/bin/env python3
"""Compares the main loop of qcc's kernels for Hopper with Triton's, by counting instructions: nothing is run, no GPU is needed.

    sass.py [--build=build] [PATTERN]     only the cases whose name contains the pattern

Both are compiled to machine code for sm_90a and taken apart with the nvdisasm of the triton wheel. The main loop is the innermost loop with the
most matrix instructions; counts are those of one warp for a million multiply-adds of it, so that tiles of different sizes compare. Needs
triton 3.9.0, onnx, ptxas.
"""
import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import triton
import triton.language as tl
from onnx import TensorProto, helper, numpy_helper
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

ROOT = Path(__file__).resolve().parents[2]
ROWS, DEPTH = 4096, 4096
CLASSES = {
    "matrix": r"[HIQ]GMMA|[HIQ]MMA",
    "shared": r"LDS|LDSM|STS|STSM",
    "copies": r"UBLKCP|UTMALDG|LDGSTS|LDG|STG|LD\b|ST\b",
    "float": r"FFMA|FMUL|FADD|HFMA2|HMUL2|HADD2|FSEL|FMNMX",
    "convert": r"I2F\w*|F2F\w*|F2FP|I2I\w*|F2I\w*",
    "integer": r"IMAD|IADD3|LOP3|SHF|PRMT|SEL|ISETP|LEA|MOV|UIADD3|ULOP3|USHF|ULEA|UMOV|R2UR|VIADD|USEL|UIMAD|UISETP|I2IP|SGXT|BFE",
}


@triton.jit
def scaled(x, w, xs, ws, y, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SUM: tl.constexpr, BLOCKS: tl.constexpr):
    """y = x wT; with BLOCKS a scale for each row and 128 columns of x, and for each row and BLOCKS columns of w."""
    row, column = tl.program_id(0) * BM, tl.program_id(1) * BN
    rows, columns = row + tl.arange(0, BM), column + tl.arange(0, BN)
    total = tl.zeros((BM, BN), tl.float32)
    for k in range(0, K, BK):
        part = tl.dot(w.load([row, k]), x.load([column, k]).T, out_dtype=SUM)
        if BLOCKS:
            factor = tl.load(ws + rows * (K // BLOCKS) + k // BLOCKS)[:, None] * tl.load(xs + k // 128 * N + columns)[None, :]
        else:
            factor = tl.load(xs + k // 128 * N + columns)[None, :]
        total += part.to(tl.float32) * factor
    tl.store(y + columns[None, :] * M + rows[:, None], total)


@triton.jit
def plain(x, w, xs, ws, y, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SUM: tl.constexpr, BLOCKS: tl.constexpr):
    row, column = tl.program_id(0) * BM, tl.program_id(1) * BN
    rows, columns = row + tl.arange(0, BM), column + tl.arange(0, BN)
    total = tl.zeros((BM, BN), tl.float32)
    for k in range(0, K, BK):
        total = tl.dot(w.load([row, k]), x.load([column, k]).T, total)
    tl.store(y + columns[None, :] * M + rows[:, None], total)


# name: format, compute type, columns that a scale of the weights covers (0: the row), Triton's kernel and its types
CASES = {
    "fp8": ("fp8", "fp8", 0, scaled, "fp8e4nv", "fp8e4nv", tl.float32),
    "int8": ("int8", "int8", 0, scaled, "i8", "i8", tl.int32),
    "bf16": ("bfloat16", "bf16", 0, plain, "bf16", "bf16", tl.float32),
    "int8-g128": ("int8-g128", "int8", 128, scaled, "i8", "i8", tl.int32),
    "int4-g128": ("int4-g128", "int8", 128, None, None, None, None),
    "int4-g32": ("int4-g32", "int8", 32, None, None, None, None),
    "mxfp4": ("mxfp4", "fp8", 32, None, None, None, None),
    "int4-g128, bf16": ("int4-g128", "bf16", 128, None, None, None, None),
}


def disassemble(cubin):
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/nvdisasm"
    return subprocess.run([str(tool), "-c", str(cubin)], capture_output=True, text=True, check=True).stdout


def functions(text):
    """The instructions of each function: (label or None, opcode, whole text)."""
    found, name = {}, None
    for line in text.splitlines():
        if section := re.match(r"\s*\.section\s+\.text\.([\w$]+)", line):
            name = section[1]
            found[name] = []
        elif name and (label := re.match(r"(\.L_[\w]+):", line)):
            found[name].append((label[1], None, None))
        elif name and (instruction := re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)([^;]*);", line)):
            found[name].append((None, instruction[1], instruction[1] + instruction[2]))
    return found


def main_loop(code):
    """The instructions of the innermost loop with the most matrix instructions."""
    labels = {label: i for i, (label, _, _) in enumerate(code) if label}
    best = []
    for i, (_, opcode, text) in enumerate(code):
        target = opcode == "BRA" and re.search(r"`\((\.L_\w+)\)", text)
        if not target or labels.get(target[1], i) >= i:
            continue
        body = [(o, t) for _, o, t in code[labels[target[1]]:i + 1] if o]
        matrix = sum(bool(re.fullmatch(CLASSES["matrix"], o)) for o, _ in body)
        most = sum(bool(re.fullmatch(CLASSES["matrix"], o)) for o, _ in best)
        if matrix > most or (matrix and matrix == most and len(body) < len(best)):
            best = body
    return best


def products(text):
    """Multiply-adds of a matrix instruction for each of the warps that share it."""
    shape = re.search(r"\.(\d+)x(\d+)x(\d+)", text)
    if not shape:
        return 0
    m, n, k = map(int, shape.groups())
    return m * n * k / (4 if m == 64 else 1)


def count(loop):
    counts = {name: sum(bool(re.fullmatch(pattern, opcode)) for opcode, _ in loop) for name, pattern in CLASSES.items()}
    counts["all"] = len(loop)
    work = sum(products(text) for opcode, text in loop if re.fullmatch(CLASSES["matrix"], opcode))
    return counts, work


def assemble(ptx, folder, architecture="sm_90a"):
    (folder / "kernel.ptx").write_text(ptx)
    done = subprocess.run(["ptxas", f"-arch={architecture}", "-v", str(folder / "kernel.ptx"), "-o", str(folder / "kernel.cubin")], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[:500])
    used = {m[1]: (int(m[3]), int(m[2])) for m in re.finditer(r"entry function '(\w+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers", done.stderr, re.S)}
    return disassemble(folder / "kernel.cubin"), used


def ours(fmt, act, tokens, build, folder):
    weights = np.random.default_rng(0).standard_normal((DEPTH, ROWS), dtype=np.float32)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "linear", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [tokens, DEPTH])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [tokens, ROWS])], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "linear.onnx")
    subprocess.run([build / "bin/qcc", folder / "linear.onnx", f"--fmt={fmt}", f"--head-fmt={fmt}", f"--act={act}", "--target=sm_90a", "--emit=ptx", "-o", folder / "linear.ptx"],
                   check=True, capture_output=True)
    text, used = assemble((folder / "linear.ptx").read_text(), folder)
    name = next(n for n in used if "wgmma" in n)
    return main_loop(functions(text)[name]), used[name], re.search(r"wgmma(\d+)", name)[1]


def theirs(kernel, types, blocks, total, folder):
    bits = 16 if types[0] == "bf16" else 8
    constants = {"BM": 128, "BN": 128, "BK": 128 if bits == 8 else 64, "SUM": total, "BLOCKS": blocks}
    tensors = {"x": f"tensordesc<{types[0]}[128, {constants['BK']}]>", "w": f"tensordesc<{types[1]}[128, {constants['BK']}]>"}
    signature = {"xs": "*fp32", "ws": "*fp32", "y": "*fp32", "M": "i32", "N": "i32", "K": "i32"} | tensors
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(kernel.arg_names) if name in ("xs", "ws", "y", "M", "N", "K")}
    source = ASTSource(kernel, signature={n: "constexpr" if n in constants else signature[n] for n in kernel.arg_names}, constexprs=constants, attrs=aligned)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 8, "num_stages": 4})
    text, used = assemble(made.asm["ptx"], folder)
    name = next(iter(used))
    return main_loop(functions(text)[name]), used[name], str(constants["BN"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build", type=Path)
    parser.add_argument("--tokens", default=2048, type=int)
    parser.add_argument("pattern", nargs="?", default="")
    options = parser.parse_args()
    if not shutil.which("ptxas"):
        parser.error("ptxas is not in PATH")
    columns = [*CLASSES, "all"]
    print("| weights, activations | compiler | tokens of a tile | " + " | ".join(columns) + " | registers | spilled bytes |\n|" + "---|" * (len(columns) + 5))
    for name, (fmt, act, blocks, kernel, x, w, total) in CASES.items():
        if options.pattern not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows = [("qcc", ours(fmt, act, options.tokens, options.build, Path(folder)))]
            if kernel:
                rows.append(("Triton", theirs(kernel, (x, w), blocks, total, Path(folder))))
        for compiler, (loop, (registers, spilled), tile) in rows:
            counts, work = count(loop)
            numbers = [f"{counts[c] * 2**20 / work:.1f}" if work else json.dumps(counts[c]) for c in columns]
            print(f"| {name} | {compiler} | {tile} | " + " | ".join(numbers) + f" | {registers} | {spilled} |", flush=True)


if __name__ == "__main__":
    main()
