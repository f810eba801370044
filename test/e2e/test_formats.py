"""Quantized linear operations against NumPy: every format's values, every way of multiplying, every level of a processor."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcc

OUTPUTS, INPUTS = 50, 172  # neither a multiple of a tile or a block

NF4 = np.array([-1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0, 0.0795803, 0.1609302, 0.2461123,
                0.33791524, 0.44070983, 0.562617, 0.72295684, 1])
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def nearest(values, table):
    """The nearest table entry of each value."""
    return table[np.abs(values[..., None] - table).argmin(-1)]


def blocks(weights, size):
    for start in range(0, weights.shape[1], size):
        yield slice(start, min(start + size, weights.shape[1]))


def by_block(weights, size, rule):
    result = np.empty(weights.shape)
    for part in blocks(weights, size):
        result[:, part] = rule(weights[:, part].astype(np.float64))
    return result


def half(scale):
    return scale.astype(np.float16).astype(np.float64)


def symmetric(largest, keep):
    def rule(block):
        scale = keep(np.abs(block).max(1, keepdims=True) / largest)
        return np.clip(np.rint(block / scale), -largest, largest) * scale
    return rule


def with_zero(top):
    def rule(block):
        low, high = np.minimum(block.min(1, keepdims=True), 0), np.maximum(block.max(1, keepdims=True), 0)
        scale = half((high - low) / top)
        zero = np.clip(np.rint(-low / scale), 0, top)
        return (np.clip(np.rint(block / scale) + zero, 0, top) - zero) * scale
    return rule


def nf4(block):
    scale = np.abs(block).max(1, keepdims=True)
    return nearest(block / scale, NF4) * scale


def mxfp4(block):
    scale = 2.0 ** (np.floor(np.log2(np.abs(block).max(1, keepdims=True))) - 2)
    return nearest(block / scale, np.concatenate([-E2M1[::-1], E2M1])) * scale


def e4m3(values):
    """float64 to the nearest e4m3 number, ties to even."""
    exponent = np.clip(np.floor(np.log2(np.maximum(np.abs(values), 2.0**-20))), -6, 8)
    step = 2.0 ** (exponent - 3)
    return np.clip(np.rint(values / step) * step, -448, 448)


def fp8(weights):
    scale = (np.abs(weights).max(1, keepdims=True) / np.float32(448)).astype(np.float32).astype(np.float64)
    return e4m3(weights / scale) * scale


def single(scale):
    return scale.astype(np.float32).astype(np.float64)


REFERENCES = {
    "float32": lambda w: w.astype(np.float64),
    "float16": lambda w: w.astype(np.float16).astype(np.float64),
    "int8": lambda w: symmetric(127, single)(w.astype(np.float64)),
    "int8-g32": lambda w: by_block(w, 32, symmetric(127, half)),
    "int4-g32": lambda w: by_block(w, 32, symmetric(7, half)),
    "int4-g128": lambda w: by_block(w, 128, symmetric(7, half)),
    "int4-g32-asym": lambda w: by_block(w, 32, with_zero(15)),
    "int3": lambda w: symmetric(3, single)(w.astype(np.float64)),
    "int3-g32": lambda w: by_block(w, 32, symmetric(3, half)),
    "int3-g128": lambda w: by_block(w, 128, symmetric(3, half)),
    "int3-g32-asym": lambda w: by_block(w, 32, with_zero(7)),
    "int2-g16": lambda w: by_block(w, 16, symmetric(1, half)),
    "int2-g64": lambda w: by_block(w, 64, symmetric(1, half)),
    "nf4": lambda w: by_block(w, 64, nf4),
    "mxfp4": lambda w: by_block(w, 32, mxfp4),
    "fp8": lambda w: fp8(w.astype(np.float64)),
}


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """A model of one product, its weights and inputs."""
    random = np.random.default_rng(7)
    weights = random.standard_normal((OUTPUTS, INPUTS)).astype(np.float32)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "linear",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", INPUTS])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["tokens", OUTPUTS])],
                              [numpy_helper.from_array(np.ascontiguousarray(weights.T), "w")])
    path = tmp_path_factory.mktemp("linear") / "linear.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path, weights, random.standard_normal((19, INPUTS)).astype(np.float32)


def results(path, folder, x, **options):
    model = qcc.load(qcc.compile(path, folder / "linear.qcc", **options))
    return {tokens: model(x=x[:tokens])["y"] for tokens in (1, 3, len(x))}


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("target", ["native", "x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("name", REFERENCES)
def test_values_are_the_formats(name, target, linear, tmp_path):
    path, weights, x = linear
    expected = x.astype(np.float64) @ REFERENCES[name](weights).T
    for tokens, y in results(path, tmp_path, x, fmt=name, head_fmt=name, act="auto" if name.startswith("f") else "f32", target=target).items():
        assert relative(y, expected[:tokens]) < 2e-6, f"{tokens} tokens"


@pytest.mark.parametrize("name", [name for name in REFERENCES if name[:3] in ("int", "nf4", "mxf")])
def test_int8_activations_cost_little(name, linear, tmp_path):
    path, weights, x = linear
    expected = x.astype(np.float64) @ REFERENCES[name](weights).T
    for tokens, y in results(path, tmp_path, x, fmt=name, head_fmt=name, act="int8").items():
        assert relative(y, expected[:tokens]) < 0.015, f"{tokens} tokens"


@pytest.mark.parametrize("name, act", [("int8", "int8"), ("int4-g32", "f32"), ("float32", "f32")])
def test_long_rows_fit_a_threads_storage(name, act, tmp_path):
    random = np.random.default_rng(3)
    weights, x = random.standard_normal((90000, 17)).astype(np.float32), random.standard_normal((20, 90000)).astype(np.float32)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "long",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", 90000])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["tokens", 17])], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "long.onnx")
    y = qcc.load(qcc.compile(tmp_path / "long.onnx", fmt=name, head_fmt=name, act=act))(x=x)["y"]
    assert relative(y, x.astype(np.float64) @ REFERENCES[name](weights.T).T) < 0.015
