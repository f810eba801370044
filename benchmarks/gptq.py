#!/usr/bin/env python3
"""GPTQ of one 4096 x 4096 layer onto int4-g128, beside the published algorithm in NumPy (float32, with NumPy's own OpenBLAS).

    ninja -C build gptq-benchmark && .venv/bin/python benchmarks/gptq.py [--threads=1] [--rounds=3]

Both run in turns; medians are printed, and the ratio of sums, without the covariance, which is the same product in both. Times are the
processor's with one thread, the clock's with several.
"""
import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--columns", type=int, default=4096)
arguments = parser.parse_args()
os.environ["OPENBLAS_NUM_THREADS"] = str(arguments.threads)

import numpy as np

clock = time.process_time if arguments.threads == 1 else time.perf_counter
N, BLOCK = arguments.columns, 128
LIBRARY = next((Path(np.__file__).parent.parent / "numpy.libs").glob("libscipy_openblas64_*.so"))
LAPACK = ctypes.CDLL(str(LIBRARY))


def lapack(name, triangle, matrix):
    size, info = ctypes.c_int64(N), ctypes.c_int64(0)
    getattr(LAPACK, f"scipy_{name}_64_")(triangle, ctypes.byref(size), matrix.ctypes.data_as(ctypes.c_void_p),
                                         ctypes.byref(size), ctypes.byref(info), ctypes.c_size_t(1))
    assert info.value == 0, (name, info.value)


def numpy_gptq(weights, hessian):
    start = clock()
    work = hessian.copy()
    work[np.diag_indices(N)] += 0.01 * work.diagonal().mean()
    # Column-major for LAPACK: its lower triangle is our upper one.
    lapack("spotrf", b"L", work)
    lapack("spotri", b"L", work)
    work = np.triu(work)
    work += np.triu(work, 1).T
    lapack("spotrf", b"L", work)
    upper = np.triu(work)
    middle = clock()
    columns = np.ascontiguousarray(weights.T)
    for begin in range(0, N, BLOCK):
        block = columns[begin:begin + BLOCK]
        scale = np.abs(block).max(axis=0) / 7
        errors = np.empty_like(block)
        for k in range(BLOCK):
            rounded = np.clip(np.rint(block[k] / scale), -7, 7) * scale
            errors[k] = (block[k] - rounded) / upper[begin + k, begin + k]
            block[k + 1:] -= np.outer(upper[begin + k, begin + k + 1:begin + BLOCK], errors[k])
        columns[begin + BLOCK:] -= upper[begin:begin + BLOCK, begin + BLOCK:].T @ errors
    return middle - start, clock() - middle


def main():
    program = Path(__file__).resolve().parents[1] / "build/bin/gptq-benchmark"
    if not program.exists():
        sys.exit(f"gptq.py: build it first: ninja -C build {program.name}")
    random = np.random.default_rng(1)
    weights = (0.02 * random.normal(size=(N, N))).astype(np.float32)
    distance = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    hessian = (0.8 ** distance).astype(np.float32)
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        output = subprocess.run([program, "int4-g128", str(N), str(N), str(arguments.threads)], check=True,
                                capture_output=True, text=True).stdout
        ours.append(json.loads(output))
        theirs.append(numpy_gptq(weights, hessian))
    factor, columns = (statistics.median(run[name] for run in ours) for name in ("factor", "columns"))
    peer_factor, peer_columns = (statistics.median(run[i] for run in theirs) for i in (0, 1))
    print(f"qcc:   factor {factor:.2f} s, columns {columns:.2f} s, sum {factor + columns:.2f} s; "
          f"covariance {statistics.median(run['covariance'] for run in ours):.2f} s")
    print(f"NumPy: factor {peer_factor:.2f} s, columns {peer_columns:.2f} s, sum {peer_factor + peer_columns:.2f} s")
    print(f"ratio: {(peer_factor + peer_columns) / (factor + columns):.2f}")


if __name__ == "__main__":
    main()
