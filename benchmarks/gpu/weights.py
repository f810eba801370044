#!/usr/bin/env python3
"""Products of few tokens, which are bound by reading the weights: GB/s of packed weights, as a share of the memory's bandwidth.

    weights.py [--device=cuda] [--target=sm_90a] [--formats=int4-g128,nf4,...] [--batches=1,16,64,256] [--shapes=4096x14336,...] [--rounds=5] [--runs=20]

A shape is DEPTHxCOLUMNS. The bandwidth is what a copy of a gigabyte by PyTorch reaches; without it there is no share. Weights of the timed layers
together are larger than the cache, as in a model. FORMAT:ACT names the activations too. Prints a table in Markdown and the device.
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np

import device

SHAPES = ("4096x4096", "4096x14336", "14336x4096", "8192x28672", "28672x8192")
FORMATS = ("int4-g32:int8", "int4-g128:int8", "int4-g128:bf16", "int8:int8", "fp8:fp8", "nf4:bf16", "mxfp4:fp8", "nvfp4:fp8", "bfloat16:bf16")


def bandwidth(torch, options):
    """Bytes a second, read and written ones together."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() / min(device.seconds_on_stream(torch, lambda: target.copy_(source), options))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--batches", default="1,16,64,256")
    parser.add_argument("--layers", type=int, default=9)
    device.arguments(parser)
    options = parser.parse_args()
    name, target = device.name_and_target(options)
    torch = device.torch_on(options)
    most = bandwidth(torch, options) if torch else None
    print("| depth × columns | format | activations | tokens | GB/s of weights | of bandwidth |\n" + "| --- " * 6 + "|")
    for shape in options.shapes.split(","):
        depth, columns = map(int, shape.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            for text in options.formats.split(","):
                fmt, _, act = text.partition(":")
                few, many = (device.Linears(Path(folder), (depth, columns), layers, fmt, act or "auto", target, options.device) for layers in (1, options.layers))
                for tokens in map(int, options.batches.split(",")):
                    x = np.random.default_rng(1).standard_normal((tokens, depth), dtype=np.float32)
                    seconds = device.seconds_of_linear(few, many, torch.from_numpy(x).cuda() if torch else x, options)
                    share = f"{many.bytes / sorted(seconds)[len(seconds) // 2] / most:.0%}" if most else device.NOT_RUN
                    print(f"| {depth} × {columns} | {fmt} | {many.act} | {tokens} | {device.rate(many.bytes, seconds, 1e9)} | {share} |", flush=True)
    print(f"\n{name}, {target}" + (f", a copy reaches {most / 1e9:.0f} GB/s" if most else ""))


if __name__ == "__main__":
    main()
