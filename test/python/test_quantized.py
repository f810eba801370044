"""Quantized convolutions and matrix products between DequantizeLinear and QuantizeLinear: sums of codes are exact, so every target
gives the same codes."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcc

SCALES = {"x_scale": np.float32(0.013), "w_scale": np.array([0.02, 0.05, 0.011], np.float32), "y_scale": np.float32(0.9)}


def build(folder, op, x, w, axis, bias):
    random = np.random.default_rng(3)
    arrays = {"w": random.integers(-128, 128, w).astype(np.int8), "x_zero": np.uint8(121), "w_zero": np.zeros(3, np.int8),
              "y_zero": np.uint8(99), **SCALES}
    nodes = [helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["dx"]),
             helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["dw"], axis=axis)]
    if bias:
        arrays["b"] = random.integers(-50000, 50000, 3).astype(np.int32)
        arrays["b_scale"] = SCALES["x_scale"] * SCALES["w_scale"]
        nodes.append(helper.make_node("DequantizeLinear", ["b", "b_scale"], ["db"], axis=0))
    nodes += [helper.make_node(op, ["dx", "dw"] + ["db"] * bias, ["sum"]),
              helper.make_node("QuantizeLinear", ["sum", "y_scale", "y_zero"], ["y"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.UINT8, x)], [value("y", TensorProto.UINT8, None)],
                              [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
    return path, arrays, random.integers(0, 256, x).astype(np.uint8)


def exact_sums(op, x, arrays):
    codes, weights = x.astype(np.int64) - int(arrays["x_zero"]), arrays["w"].astype(np.int64)
    if op == "Conv":
        windows = np.lib.stride_tricks.sliding_window_view(codes, weights.shape[2:], axis=(2, 3))
        return np.einsum("nchwij,mcij->nmhw", windows, weights)
    return codes @ weights


@pytest.mark.parametrize("target", ("native", "x86-64-v2"))
@pytest.mark.parametrize("bias", (False, True))
@pytest.mark.parametrize("op, x, w, axis", (("Conv", (2, 40, 9, 11), (3, 40, 3, 3), 0), ("Conv", (2, 40, 9, 11), (3, 40, 1, 1), 0),
                                            ("Conv", (1, 41, 8, 6), (3, 41, 1, 1), 0), ("Gemm", (5, 300), (300, 3), 1)))
def test_codes(tmp_path, op, x, w, axis, bias, target):
    path, arrays, codes = build(tmp_path, op, x, w, axis, bias)
    sums = exact_sums(op, codes, arrays)
    shape = (-1, 1, 1) if op == "Conv" else (-1,)
    if bias:
        sums = sums + arrays["b"].reshape(shape)
    scale = (SCALES["w_scale"] * SCALES["x_scale"]).reshape(shape)
    assert np.abs(sums).max() < 1 << 24
    values = sums.astype(np.float32) * scale / SCALES["y_scale"]
    expected = np.clip(np.rint(values) + int(arrays["y_zero"]), 0, 255).astype(np.uint8)
    assert len(np.unique(expected)) > 8
    model = qcc.load(qcc.compile(path, fmt="float32", target=target), target=None if target == "native" else target)
    assert np.array_equal(model({"x": codes})["y"], expected)
