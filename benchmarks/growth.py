#!/usr/bin/env python3
"""How time and memory of GPTQ grow with a model's depth and width: gated layers of random weights, 16384 tokens.

    .venv/bin/python benchmarks/growth.py
"""
import multiprocessing
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BIN = Path(os.environ.get("QCC_BUILD_DIR", Path(__file__).resolve().parents[1] / "build")) / "bin"


def write_model(path, layers, width):
    random, nodes, weights, x = np.random.default_rng(2), [], [], "x"
    for layer in range(layers):
        for name, shape in (("gate", (width, 3 * width)), ("up", (width, 3 * width)), ("down", (3 * width, width))):
            weights.append(numpy_helper.from_array((random.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32), f"{name}{layer}"))
        add = [("MatMul", [x, f"gate{layer}"], f"g{layer}"), ("Sigmoid", [f"g{layer}"], f"s{layer}"), ("MatMul", [x, f"up{layer}"], f"u{layer}"),
               ("Mul", [f"s{layer}", f"u{layer}"], f"p{layer}"), ("MatMul", [f"p{layer}", f"down{layer}"], f"d{layer}"), ("Add", [x, f"d{layer}"], f"x{layer}")]
        nodes += [helper.make_node(kind, inputs, [output]) for kind, inputs, output in add]
        x = f"x{layer}"
    graph = helper.make_graph(nodes, "layers", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", width])],
                              [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["tokens", width])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def write_files(folder, layers, width):
    write_model(f"{folder}/m.onnx", layers, width)
    np.savez(f"{folder}/data.npz", x=np.random.default_rng(1).standard_normal((32, 512, width)).astype(np.float32))


def main():
    print("| layers | width | weights, MB | seconds | processor seconds | peak MiB |\n| --- | --- | --- | --- | --- | --- |")
    for layers, width in ((4, 512), (8, 512), (4, 1024), (8, 1024)):
        with tempfile.TemporaryDirectory() as folder:
            # In a process of its own: what this one had in memory would count as the compiler's, which is forked from it.
            make = multiprocessing.get_context("spawn").Process(target=write_files, args=(folder, layers, width))
            make.start()
            make.join()
            begin = time.monotonic()
            process = subprocess.Popen([BIN / "qcc", f"{folder}/m.onnx", "--fmt=int4-g32", "--act=f32", "--method=gptq", f"--calib={folder}/data.npz", "-o", f"{folder}/m.qcc"])
            _, status, usage = os.wait4(process.pid, 0)
            assert status == 0
            print(f"| {layers} | {width} | {layers * 9 * width * width * 4 / 1e6:.0f} | {time.monotonic() - begin:.0f} | {usage.ru_utime + usage.ru_stime:.0f} "
                  f"| {usage.ru_maxrss // 1024} |", flush=True)


if __name__ == "__main__":
    main()
