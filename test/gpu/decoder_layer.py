#!/usr/bin/env python3
"""The first layers of a decoder on the emulated device, beside the processor: a prefill of 16 tokens, then token by token, with times.

    decoder_layer.py MODEL_FOLDER [--layers=1] [--targets=sm_80,sm_90a] [--formats=int4-g32,fp8] [--prefill=16] [--decode=4] [--tolerance=0.03]

MODEL_FOLDER holds model.onnx with weights named model.layers.N.input_layernorm.weight, as Hugging Face's Llama is exported. What comes out of the last layer kept
is compared, in the compute type that the GPU's program chooses. Not part of the suites: it takes seconds to minutes and a model. Exit status 1 if an
error is above the tolerance.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
import qcc  # noqa: E402


def cut(folder, layers, target):
    """The model up to what layer number `layers` reads, as `target`/model.onnx with the data of the whole."""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    graph, makers = model.graph, {}
    for node in model.graph.node:
        makers.update({name: node for name in node.output})
    scale = next(node for node in graph.node if f"model.layers.{layers}.input_layernorm.weight" in node.input)
    normalized = makers[next(name for name in scale.input if name in makers)]
    hidden = next(name for name in normalized.input if makers[name].op_type == "Add")
    outputs = [hidden, *(f"present.{i}.{kind}" for i in range(layers) for kind in ("key", "value"))]
    needed, names, waiting = set(), set(), list(outputs)
    while waiting:
        name = waiting.pop()
        names.add(name)
        if name in makers and id(makers[name]) not in needed:
            needed.add(id(makers[name]))
            waiting += makers[name].input
    keep = lambda field, test: [value for value in field if test(value)]
    nodes = keep(graph.node, lambda node: id(node) in needed)
    weights, inputs = (keep(field, lambda value: value.name in names) for field in (graph.initializer, graph.input))
    values = {value.name: value for value in graph.output}
    border = [values.get(name) or onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    part = onnx.helper.make_model(onnx.helper.make_graph(nodes, "layers", inputs, border, weights), opset_imports=model.opset_import, ir_version=model.ir_version)
    (target / "model.onnx").write_bytes(part.SerializeToString())
    for data in folder.glob("model.onnx?data"):
        try:
            os.link(data, target / data.name)  # data may not lie outside of the model's folder
        except OSError:
            shutil.copy(data, target)
    return hidden


def run(artifact, device, hidden, options):
    """What comes out, and seconds of the prefill and of one token."""
    session = qcc.load(artifact, device=device).session()
    ids = np.random.default_rng(1).integers(0, 1000, (1, options.prefill + options.decode))
    results, times, past = [], [], 0
    for length in [options.prefill] + [1] * options.decode:
        inputs = {"input_ids": ids[:, past:past + length], "attention_mask": np.ones((1, past + length), np.int64), "position_ids": np.arange(past, past + length)[None]}
        begun = time.perf_counter()
        results.append(session.run(inputs, [hidden])[hidden])
        times.append(time.perf_counter() - begun)
        past += length
    return results, times[0], sum(times[1:]) / max(options.decode, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--targets", default="sm_80,sm_90a")
    parser.add_argument("--formats", default="int4-g32,fp8")
    parser.add_argument("--prefill", type=int, default=16)
    parser.add_argument("--decode", type=int, default=4)
    parser.add_argument("--tolerance", type=float, default=0.03)
    options = parser.parse_args()
    worst = 0
    print("| target | format | activations | prefill, s | error | a token, s | error |\n" + "| --- " * 7 + "|")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        hidden = cut(options.model, options.layers, folder)
        for fmt in options.formats.split(","):
            for target in options.targets.split(","):
                compiled = qcc.compile(folder / "model.onnx", folder / f"{target}.qcc", target=target, fmt=fmt)
                acts = {row["act"] for row in qcc.load(compiled, device="emulate").manifest["plan"]["linears"]}
                reference = qcc.compile(folder / "model.onnx", folder / "cpu.qcc", target="x86-64-v3", fmt=fmt, act=acts.copy().pop())
                wanted, *_ = run(reference, "cpu", hidden, options)
                got, prefill, token = run(compiled, "emulate", hidden, options)
                errors = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(got, wanted)]
                worst = max(worst, *errors)
                print(f"| {target} | {fmt} | {'/'.join(acts)} | {prefill:.1f} | {errors[0]:.1e} | {token:.1f} | {max(errors[1:], default=0):.1e} |", flush=True)
    return int(not worst <= options.tolerance)


if __name__ == "__main__":
    sys.exit(main())
