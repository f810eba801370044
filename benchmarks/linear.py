#!/usr/bin/env python3
"""Linear layers of 4096 x 4096 against what the machine can do: one token against the memory's read rate, many against the multipliers.

    linear.py [--formats=int4-g32,int8,...] [--rows=512] [--layers=12] [--rounds=5] [--threads=1]

A chain of layers with random weights, so that the weights of one token's run come from memory. For each format and compute type: GB/s of packed
weights with one row, as a share of the read rate; multiply-adds a second with --rows rows, as a share of the peak of the instruction that the plan
names (limits.c measures both, of one core; it is run before and after, and the better figure counts). Medians of the rounds, with the smallest and the largest;
formats alternate within a round. Prints a table in Markdown and the processor's name.
"""
import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

BENCHMARKS = Path(__file__).resolve().parent
BIN = BENCHMARKS.parent / "build" / "bin"
SIZE = 4096
FORMATS = ("float32:f32", "int8:int8", "int8-g32:int8", "int4-g32:int8", "int4-g128:int8", "int4-g32:f32", "nf4:int8", "mxfp4:int8", "nvfp4:int8", "nf4:f32", "fp8:f32",
           "bfloat16:f32")


def limits(folder):
    """{name: figure} of one core; empty without a C compiler."""
    program = Path(folder) / "limits"
    if not program.exists():
        for compiler in ("clang-22", "cc"):
            try:
                subprocess.run([compiler, "-O3", "-march=native", "-mprefer-vector-width=512", "-ffp-contract=fast", BENCHMARKS / "limits.c", "-o", program], check=True)
                break
            except (OSError, subprocess.CalledProcessError):
                continue
        else:
            return {}
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    return {name: float(figure) for name, figure in map(str.split, lines)}


def write_chain(path, layers):
    """y = W_n ... W_1 x, the weights in a file beside the model."""
    random = np.random.default_rng(1)
    with open(path.with_suffix(".data"), "wb") as data:
        weights, nodes = [], []
        for layer in range(layers):
            tensor = TensorProto(name=f"w{layer}", data_type=TensorProto.FLOAT, dims=[SIZE, SIZE], data_location=TensorProto.EXTERNAL)
            for key, value in (("location", path.with_suffix(".data").name), ("offset", data.tell()), ("length", SIZE * SIZE * 4)):
                tensor.external_data.add(key=key, value=str(value))
            data.write((random.standard_normal((SIZE, SIZE), np.float32) / np.sqrt(SIZE)).tobytes())
            weights.append(tensor)
            nodes.append(helper.make_node("MatMul", [f"x{layer}", f"w{layer}"], [f"x{layer + 1}"], name=f"layer{layer}"))
    border = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", SIZE]) for name in ("x0", f"x{layers}")]
    graph = helper.make_graph(nodes, "chain", border[:1], border[1:], weights)
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


def seconds(artifact, inputs, runs, threads):
    done = subprocess.run([BIN / "qcc-run", artifact, f"--in={inputs}", f"--bench={runs}", f"--threads={threads}", "--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["milliseconds"]["median"] / 1e3


def spread(values, scale):
    return f"{statistics.median(values) / scale:.1f} ({min(values) / scale:.1f}–{max(values) / scale:.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formats", default=",".join(FORMATS), help="FORMAT or FORMAT:ACT, separated by commas")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_chain(folder / "chain.onnx", options.layers)
        for name, rows in (("one", 1), ("many", options.rows)):
            np.savez(folder / f"{name}.npz", x0=np.random.default_rng(2).standard_normal((rows, SIZE), np.float32))
        rows = []
        for text in options.formats.split(","):
            fmt, _, act = text.partition(":")
            artifact = folder / f"{fmt}-{act}.qcc"
            subprocess.run([BIN / "qcc", folder / "chain.onnx", f"--fmt={fmt}", f"--head-fmt={fmt}", f"--act={act or 'auto'}", "-o", artifact], check=True)
            plan = json.loads(subprocess.run([BIN / "qcc-inspect", artifact, "--json"], check=True, capture_output=True, text=True).stdout)["plan"]
            linear = plan["linears"][0]
            rows.append((fmt, linear["act"], next(iter(linear["instructions"].values())), plan["weights_bytes"], artifact, [], []))
        best = limits(folder)
        for _ in range(options.rounds):
            for *_, size, artifact, rates, products in rows:
                rates.append(size / seconds(artifact, folder / "one.npz", 5, options.threads))
                products.append(options.layers * options.rows * SIZE * SIZE / seconds(artifact, folder / "many.npz", 1, options.threads))
        best = {name: max(figure, best[name]) for name, figure in limits(folder).items()}
    print(f"| format | activations | instruction | GB/s, 1 row | of reading | 10⁹ multiply-adds/s, {options.rows} rows | of its peak |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for fmt, act, instruction, _, _, rates, products in rows:
        peak = best.get("vpdpbusd" if act == "int8" else "fma", 0)
        shares = [f"{statistics.median(values) / limit:.0%}" if limit else "" for values, limit in ((rates, best.get("read", 0)), (products, peak))]
        print(f"| {fmt} | {act} | {instruction} | {spread(rates, 1e9)} | {shares[0]} | {spread(products, 1e9)} | {shares[1]} |")
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf8") if line.startswith("model name")), "unknown processor")
    print(f"\n{model}, {options.threads} thread(s); one core: " + ", ".join(f"{name} {figure / 1e9:.1f}·10⁹/s" for name, figure in best.items()))


if __name__ == "__main__":
    main()
