#!/usr/bin/env python3
"""Products of many tokens: TFLOP/s in fp8, int8 and bf16 beside cuBLASLt (through PyTorch) and Triton.

    products.py [--device=cuda] [--target=sm_90a] [--shapes=4096x4096x4096,...] [--kinds=fp8,int8,bf16] [--rounds=5] [--runs=20]

A shape is TOKENSxDEPTHxCOLUMNS. Ours takes float32 activations, rounds them and gives float32; the peers are handed rounded operands and give bfloat16 (int32 for
int8), which is less work. Rounds of ours and of the peers follow each other. Prints a table in Markdown, the device and the versions; where something is
missing, 'not run here'.
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np

import device
import peers

# Square ones, then the layers of Llama-3-8B and -70B (query, key and value; output; gate or up; down) at 4096 tokens.
SHAPES = ("4096x4096x4096", "8192x8192x8192", "4096x4096x6144", "4096x4096x14336", "4096x14336x4096", "4096x8192x10240", "4096x8192x8192", "4096x8192x28672", "4096x28672x8192")
FORMATS = {"fp8": ("fp8", "fp8"), "int8": ("int8", "int8"), "bf16": ("bfloat16", "bf16")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--kinds", default=",".join(FORMATS))
    parser.add_argument("--layers", type=int, default=3)
    device.arguments(parser)
    options = parser.parse_args()
    name, target = device.name_and_target(options)
    torch = device.torch_on(options)
    print("| tokens × depth × columns | activations | instruction | TFLOP/s | cuBLASLt | Triton |\n" + "| --- " * 6 + "|")
    for shape in options.shapes.split(","):
        tokens, depth, columns = map(int, shape.split("x"))
        x = np.random.default_rng(1).standard_normal((tokens, depth), dtype=np.float32)
        work = 2 * tokens * depth * columns
        with tempfile.TemporaryDirectory() as folder:
            for kind in options.kinds.split(","):
                fmt, act = FORMATS[kind]
                few, many = (device.Linears(Path(folder), (depth, columns), layers, fmt, act, target, options.device) for layers in (1, options.layers))
                given = torch.from_numpy(x).cuda() if torch else x
                cells = [" × ".join(shape.split("x")), many.act, many.instruction, device.rate(work, device.seconds_of_linear(few, many, given, options), 1e12)]
                del few, many
                for peer in (peers.cublas, peers.triton):
                    body = peer(torch, kind, tokens, depth, columns) if torch else None
                    cells.append(device.rate(work, device.seconds_on_stream(torch, body, options), 1e12) if body else device.NOT_RUN)
                print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\n{name}, {target}" + (f", PyTorch {torch.__version__}" if torch else ""))


if __name__ == "__main__":
    main()
