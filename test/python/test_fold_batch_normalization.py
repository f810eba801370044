"""A batch normalization behind a convolution or a matrix product becomes part of its constants, and changes no value."""
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcc

ROOT = Path(__file__).resolve().parents[2]
CASES = {
    "conv": ("Conv", (2, 4, 5, 6), (6, 4, 3, 2), {}),
    "conv grouped": ("Conv", (2, 4, 5, 6), (6, 2, 3, 2), {"group": 2}),
    "conv depthwise": ("Conv", (2, 4, 7), (4, 1, 3), {"group": 4}),
    "transposed": ("ConvTranspose", (2, 4, 5, 6), (4, 3, 2, 2), {"strides": [2, 2]}),
    "transposed grouped": ("ConvTranspose", (2, 4, 5, 6), (4, 3, 2, 2), {"group": 2}),
    "gemm": ("Gemm", (3, 4), (4, 6), {"alpha": 0.5, "beta": 2.0}),
    "gemm transposed": ("Gemm", (3, 4), (6, 4), {"transB": 1}),
}


def build(folder, case, bias=True, constant=True, used_twice=False):
    op, x, w, attributes = CASES[case]
    if op == "ConvTranspose":
        channels = w[1] * attributes.get("group", 1)
    else:
        channels = w[1] if case == "gemm" else w[0]
    random = np.random.default_rng(7)
    arrays = {"w": random.standard_normal(w), "scale": random.standard_normal(channels), "shift": random.standard_normal(channels),
              "mean": random.standard_normal(channels), "variance": random.random(channels) + 0.1}
    if bias:
        arrays["b"] = random.standard_normal(channels)
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    nodes = [helper.make_node(op, ["x", "w"] + ["b"] * bias, ["sum"], **attributes),
             helper.make_node("BatchNormalization", ["sum", "scale", "shift", "mean", "variance"], ["y"], epsilon=1e-3)]
    outputs = ["y", "sum"] if used_twice else ["y"]
    inputs = {"x": x} if constant else {"x": x, "w": w}
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value(name, TensorProto.FLOAT, dims) for name, dims in inputs.items()],
                              [value(name, TensorProto.FLOAT, None) for name in outputs],
                              [numpy_helper.from_array(array, name) for name, array in arrays.items() if name not in inputs])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    feeds = {name: arrays.get(name, random.standard_normal(dims).astype(np.float32)) for name, dims in inputs.items()}
    return arrays, path, feeds


def canonical(path):
    return subprocess.run([ROOT / "build/bin/qcc", path, "--emit=canonical"], capture_output=True, text=True, check=True).stdout


def run(path, feeds):
    return qcc.load(qcc.compile(path, fmt="float32"))(feeds)


def normalized(sums, arrays):
    scale, shift, mean, variance = (arrays[name].reshape(-1, *[1] * (sums.ndim - 2)) for name in ("scale", "shift", "mean", "variance"))
    return (sums - mean) / np.sqrt(variance + 1e-3) * scale + shift


def assert_close(actual, expected):
    assert np.linalg.norm(actual - expected) < 2e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("bias", (False, True))
@pytest.mark.parametrize("case", CASES)
def test_folds(tmp_path, case, bias):
    _, path, feeds = build(tmp_path, case, bias)
    assert "BatchNormalization" not in canonical(path)
    folded = run(path, feeds)["y"]
    arrays, path, feeds = build(tmp_path, case, bias, used_twice=True)
    assert_close(folded, normalized(run(path, feeds)["sum"], arrays))


@pytest.mark.parametrize("options", ({"constant": False}, {"used_twice": True}))
def test_stays_where_it_must(tmp_path, options):
    arrays, path, feeds = build(tmp_path, "conv", **options)
    assert "BatchNormalization" in canonical(path)
    outputs = run(path, feeds)
    if "sum" in outputs:
        assert_close(outputs["y"], normalized(outputs["sum"], arrays))
