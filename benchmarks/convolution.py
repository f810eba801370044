#!/usr/bin/env python3
"""Convolutional networks beside ONNX Runtime, in one run.

    convolution.py MODEL.onnx ... [--threads=1,2] [--rounds=5] [--runs=50]

The Python packages onnx and onnxruntime must be installed. A round is the median time of --runs runs on random input, batch 1; rounds of ours and of ONNX Runtime alternate, because a
machine's speed moves within minutes, and every figure is the median of the rounds, with the smallest and the largest. "Share of peak" is ours with
one thread: the multiply-adds of convolutions and linear layers against what a C loop of fused multiply-adds reaches here, which is measured first
where there is a C compiler. Prints a table in Markdown and the processor's name.
"""
import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / "build" / "bin"
PEAK = r"""
#include <stdio.h>
#include <time.h>
typedef float vector __attribute__((vector_size(64)));
int main(void) {
  enum { sums = 12, steps = 1 << 20 };
  double best = 0;
  for (int round = 0; round < 9; ++round) {
    vector sum[sums], x = {0}, y = {0};
    for (int j = 0; j < sums; ++j)
      sum[j] = (vector){(float)j};
    x += 0.5f + (float)round, y += 0.25f;
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (long i = 0; i < steps; ++i) {
      for (int j = 0; j < sums; ++j)
        sum[j] = sum[j] * x + y;
      __asm__ volatile("" : "+x"(x));
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double seconds = (double)(ended.tv_sec - begun.tv_sec) + 1e-9 * (double)(ended.tv_nsec - begun.tv_nsec);
    vector total = {0};
    for (int j = 0; j < sums; ++j)
      total += sum[j];
    volatile float sink = total[0];
    (void)sink;
    double rate = 16.0 * sums * steps / seconds;
    best = rate > best ? rate : best;
  }
  printf("%.0f\n", best);
}
"""


def peak(folder):
    """Multiply-adds a second of one core, or None without a C compiler."""
    source, program = Path(folder) / "peak.c", Path(folder) / "peak"
    source.write_text(PEAK)
    try:
        subprocess.run(["cc", "-O3", "-march=native", "-mprefer-vector-width=512", "-ffp-contract=fast", source, "-o", program], check=True,
                       capture_output=True)
        return float(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
    except (OSError, subprocess.CalledProcessError):
        return None


def multiply_adds(path):
    """Those of convolutions and linear layers for one image."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    shapes = {value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim] for value in [*graph.value_info, *graph.input, *graph.output]}
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul") and node.input[1] in shapes:
            total += math.prod(shapes[node.input[1]])
    return total


def ours(artifact, threads, runs):
    done = subprocess.run([BIN / "qcc-run", artifact, f"--bench={runs}", f"--threads={threads}", "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["milliseconds"]["median"]


class Peer:
    def __init__(self, path, threads):
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        random = np.random.default_rng(1)
        self.inputs = {given.name: random.random([dim if isinstance(dim, int) else 1 for dim in given.shape], dtype=np.float32)
                       for given in self.session.get_inputs()}

    def measure(self, runs):
        times = []
        for _ in range(runs):
            begun = time.perf_counter()
            self.session.run(None, self.inputs)
            times.append(time.perf_counter() - begun)
        return statistics.median(times) * 1e3


def spread(values):
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    facts = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    with tempfile.TemporaryDirectory() as folder:
        rate = peak(folder)
        print(facts.get("model name", "unknown processor"), "family", facts.get("cpu family", "?"),
              f"{2e-9 * rate:.1f} GFLOP/s a core" if rate else "", "ONNX Runtime", onnxruntime.__version__)
        print("| model | threads | ms | ONNX Runtime | ratio | share of peak |")
        print("| --- " * 6 + "|")
        for model in options.models:
            artifact = Path(folder) / "model.qcc"
            subprocess.run([BIN / "qcc", model, "-o", artifact], check=True)
            for threads in map(int, options.threads.split(",")):
                peer = Peer(model, threads)
                peer.measure(3)
                mine, other = [], []
                for _ in range(options.rounds):
                    mine.append(ours(artifact, threads, options.runs))
                    other.append(peer.measure(options.runs))
                share = f"{100 * multiply_adds(model) / rate / statistics.median(mine) * 1e3:.0f} %" if rate and threads == 1 else ""
                ratio = f"{statistics.median(other) / statistics.median(mine):.2f}"
                print("| " + " | ".join([model.stem, str(threads), spread(mine), spread(other), ratio, share]) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
