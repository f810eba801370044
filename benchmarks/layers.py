#!/usr/bin/env python3
"""Errors that GPTQ leaves in real layers, beside ONNX Runtime's GPTQ (onnxruntime.quantization.neural_compressor) on the same data.

    .venv/bin/python benchmarks/layers.py --model=DIR [--layers=0,15,29] [--group=64]

DIR as for quality.py; ONNX Runtime needs the package onnx_ir for it. A layer's error is ‖X Wᵀ − X Qᵀ‖² / ‖X Wᵀ‖² over the calibration windows that it was quantized with. Scales are float32 in both.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.neural_compressor.weight_only import gptq

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build")) / "bin"
os.environ.setdefault("QCC_DIR", str(BIN.parent))
sys.path.insert(0, str(ROOT / "python"))
PRODUCTS = ["self_attn/q_proj", "self_attn/o_proj", "mlp/gate_proj", "mlp/down_proj"]


def observe(folder, products, windows):
    """(inputs [tokens, columns], weight [columns, rows]) of some products, as ONNX Runtime computes them."""
    from qcc import samples, tokenizer
    model = onnx.load(Path(folder) / "model.onnx")
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [next(node for node in model.graph.node if node.op_type == "MatMul" and product in node.name) for product in products]
    matrices = [numpy_helper.to_array(weights[node.input[1]]) for node in nodes]
    wanted = list(dict.fromkeys(node.input[0] for node in nodes))
    for name in wanted:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    with tempfile.TemporaryDirectory() as place:
        onnx.save(model, Path(place) / "m.onnx", save_as_external_data=True)
        session = onnxruntime.InferenceSession(str(Path(place) / "m.onnx"))
    tokens = tokenizer.load(Path(folder) / "tokenizer.json").encode((ROOT.parent / "shared/data/text/wiki.test.raw").read_text())
    seen = {name: [] for name in wanted}
    for window in samples.windows_of(tokens, 512, 100, 100 + windows):
        feed = {}
        for value in session.get_inputs():
            if value.name == "input_ids":
                feed[value.name] = window
            elif value.name == "attention_mask":
                feed[value.name] = np.ones_like(window)
            elif value.name == "position_ids":
                feed[value.name] = np.arange(window.shape[1])[None]
            else:
                feed[value.name] = np.zeros([{0: 1, 2: 0}.get(axis, size) for axis, size in enumerate(value.shape)], np.float32)
        for name, array in zip(wanted, session.run(wanted, feed)):
            seen[name].append(array.reshape(-1, array.shape[-1]))
    return [(np.concatenate(seen[node.input[0]]), matrix) for node, matrix in zip(nodes, matrices)]


def ours(x, weight, group):
    """The quantized weight, which a product with the unit matrix shows."""
    import qcc
    columns, rows = weight.shape
    with tempfile.TemporaryDirectory() as folder:
        graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "layer", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", columns])],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", rows])], [numpy_helper.from_array(weight, "w")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), f"{folder}/layer.onnx")
        np.savez(f"{folder}/data.npz", x=x)
        fmt = f"int4-g{group}-f32-asym"
        subprocess.run([BIN / "qcc", f"{folder}/layer.onnx", f"--fmt={fmt}", f"--head-fmt={fmt}", "--act=f32", "--method=gptq", f"--calib={folder}/data.npz",
                        "-o", f"{folder}/layer.qcc"], check=True)
        return qcc.load(f"{folder}/layer.qcc")(x=np.eye(columns, dtype=np.float32))["y"]


def published(weight, hessian, group):
    """Algorithm 1 of arXiv 2210.17323, columns in their own order, a block's scale chosen when it is reached; weight is [columns, rows]."""
    work, result = weight.astype(np.float64), np.empty(weight.shape)
    damped = hessian + 0.01 * hessian.diagonal().mean() * np.eye(len(hessian))
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    for k in range(len(work)):
        if k % group == 0:
            low, high = np.minimum(work[k:k + group].min(0), 0), np.maximum(work[k:k + group].max(0), 0)
            scale = np.where(high > low, high - low, 1) / 15
            zero = np.rint(-low / scale)
        result[k] = (np.clip(np.rint(work[k] / scale) + zero, 0, 15) - zero) * scale
        work[k + 1:] -= np.outer(upper[k, k + 1:], (work[k] - result[k]) / upper[k, k])
    return result


def nearest(weight, group):
    return np.concatenate([published(weight[k:k + group], np.eye(len(weight[k:k + group])), group) for k in range(0, len(weight), group)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--layers", default="0,15,29")
    parser.add_argument("--group", type=int, default=64)
    parser.add_argument("--windows", type=int, default=8)
    arguments = parser.parse_args()
    products = [f"layers/{layer}/{product}" for layer in arguments.layers.split(",") for product in PRODUCTS]
    print("| layer | to nearest | qcc | published algorithm | ONNX Runtime | with actorder |\n| --- | --- | --- | --- | --- | --- |")
    for product, (x, weight) in zip(products, observe(arguments.model, products, arguments.windows)):
        hessian = 2 * (x.T.astype(np.float64) @ x) / len(x)
        energy = np.einsum("ij,ik,kj->", weight, hessian, weight, optimize=True)
        cells = []
        made = [nearest(weight, arguments.group), ours(x, weight, arguments.group), published(weight, hessian, arguments.group)]
        made += [gptq(weight.astype(np.float64), hessian.copy(), 4, arguments.group, "asym", actorder=order) for order in (False, True)]
        for quantized in made:
            error = weight - quantized
            cells.append(np.einsum("ij,ik,kj->", error, hessian, error, optimize=True) / energy)
        print(f"| {product} | " + " | ".join(f"{cell:.5f}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
