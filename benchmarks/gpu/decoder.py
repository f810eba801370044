#!/usr/bin/env python3
"""A decoder's prefill and token-by-token speed on a GPU, and the bytes a second that decoding reads.

    decoder.py MODEL_FOLDER [--device=cuda] [--target=sm_90a] [--formats=int4-g32,...] [--prefill=512] [--decode=128] [--rounds=5] [--graphs]

MODEL_FOLDER holds model.onnx. Prints a table in Markdown and the device: medians of the rounds, with the smallest and the largest.
"""
import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import device
import qcc

BIN = device.ROOT / "build" / "bin"
FORMATS = ("bfloat16", "fp8", "int8", "int4-g32", "int4-g128", "nf4", "mxfp4", "nvfp4")


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=128)
    parser.add_argument("--graphs", action="store_true", help="record and replay what a run starts")
    device.arguments(parser)
    options = parser.parse_args()
    name, target = device.name_and_target(options)
    print("| format | activations | MB per token | prefill t/s | decode t/s | GB/s of weights |\n" + "| --- " * 6 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for fmt in options.formats.split(","):
            artifact = qcc.compile(options.model, Path(folder) / "model.qcc", target=target, fmt=fmt, options=["--last-logits"])
            plan = qcc.load(artifact, device=options.device).manifest["plan"]
            size = sum(row["bytes"] for row in plan["linears"])
            command = [BIN / "qcc-run", artifact, f"--device={options.device}", "--bench=1", f"--prefill={options.prefill}", f"--decode={options.decode}", "--json"]
            reports = [json.loads(subprocess.run(command + ["--graphs"] * options.graphs, check=True, capture_output=True, text=True).stdout) for _ in range(options.rounds)]
            prefill, decode = ([report[f"{kind}_tokens_per_s"] for report in reports] for kind in ("prefill", "decode"))
            acts = "/".join(dict.fromkeys(row["act"] for row in plan["linears"]))
            print(f"| {fmt} | {acts} | {size / 1e6:.1f} | {spread(prefill)} | {spread(decode)} | {spread([size * speed / 1e9 for speed in decode])} |", flush=True)
    print(f"\n{name}, {target}")


if __name__ == "__main__":
    main()
