"""Quantized convolutions and matrix products between DequantizeLinear and QuantizeLinear: sums of codes are exact, so every target
gives the same codes."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcc
from small_models import run

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


def windows_of(codes, zero, kernel, strides, pads, dilations):
    """N x C x outputs x taps, of codes without their zero."""
    spatial = len(kernel)
    padded = np.pad(codes.astype(np.int64), [(0, 0), (0, 0)] + list(zip(pads[:spatial], pads[spatial:])), constant_values=zero) - zero
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, extents, axis=tuple(range(2, 2 + spatial)))
    steps = tuple(slice(None, None, stride) for stride in strides)
    return windows[(slice(None), slice(None), *steps, *(slice(None, None, d) for d in dilations))]


# codes, outputs, kernel, strides, pads, dilations, group: rows that fill registers and that do not, channels in fours and not
WINDOWS = [((1, 3, 32, 32), 16, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1), ((2, 16, 32, 33), 10, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1),
           ((1, 8, 14, 14), 7, (3, 3), (1, 1), (0, 1, 2, 0), (2, 1), 1), ((2, 5, 7, 7), 9, (5, 5), (1, 1), (2, 2, 2, 2), (1, 1), 1),
           ((1, 12, 9, 40), 5, (1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 1), ((1, 6, 20, 70), 17, (2, 3), (3, 1), (0, 1, 0, 1), (1, 2), 1),
           ((2, 4, 50), 6, (5,), (2,), (2, 2), (1,), 1), ((1, 8, 8, 8), 20, (3, 3), (2, 2), (0, 0, 1, 1), (1, 1), 1),
           ((2, 6, 32, 32), 6, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 6), ((1, 5, 33, 29), 10, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 5),
           ((1, 4, 7, 7), 4, (5, 5), (1, 1), (2, 2, 2, 2), (1, 1), 4), ((2, 3, 15, 15), 3, (3, 3), (2, 2), (0, 1, 1, 0), (1, 1), 3),
           ((1, 4, 24, 40), 4, (3, 3), (1, 1), (2, 2, 2, 2), (2, 2), 4), ((1, 4, 60), 8, (7,), (1,), (3, 3), (1,), 4),
           ((1, 4, 12, 12), 6, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 2), ((1, 4, 20, 60), 5, (3, 3), (1, 3), (1, 1, 1, 1), (1, 1), 1)]


@pytest.mark.parametrize("target", ("native", "x86-64-v3", "sm_80"))
def test_windows_of_codes(tmp_path, target):
    """Sums of codes without a rounding: they are the results, bit for bit."""
    random = np.random.default_rng(5)
    value = helper.make_tensor_value_info
    nodes, inputs, arrays, codes, expected = [], [], {"one": np.float32(1), "zero": np.uint8(131), "none": np.int8(0)}, {}, {}
    for i, (shape, outputs, kernel, strides, pads, dilations, group) in enumerate(WINDOWS):
        weights = random.integers(-128, 128, (outputs, shape[1] // group, *kernel)).astype(np.int8)
        arrays[f"w{i}"], codes[f"x{i}"] = weights, random.integers(0, 256, shape).astype(np.uint8)
        inputs.append(value(f"x{i}", TensorProto.UINT8, shape))
        nodes += [helper.make_node("DequantizeLinear", [f"x{i}", "one", "zero"], [f"dx{i}"]),
                  helper.make_node("DequantizeLinear", [f"w{i}", "one", "none"], [f"dw{i}"]),
                  helper.make_node("Conv", [f"dx{i}", f"dw{i}"], [f"y{i}"], strides=strides, pads=pads, dilations=dilations, group=group)]
        windows = windows_of(codes[f"x{i}"], 131, kernel, strides, pads, dilations)
        letters = "hw"[:len(kernel)], "ij"[:len(kernel)]
        grouped = windows.reshape(shape[0], group, -1, *windows.shape[2:])
        sums = np.einsum(f"ngc{letters[0]}{letters[1]},gmc{letters[1]}->ngm{letters[0]}", grouped, weights.reshape(group, -1, *weights.shape[1:]).astype(np.int64))
        expected[f"y{i}"] = sums.reshape(shape[0], outputs, *windows.shape[2:2 + len(kernel)])
    graph = helper.make_graph(nodes, "g", inputs, [value(name, TensorProto.FLOAT, None) for name in expected],
                              [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    for (name, sums), actual in zip(expected.items(), run(model, tmp_path, f"--target={target}", **codes)):
        assert actual.shape == sums.shape and np.array_equal(actual, sums.astype(np.float32)), name
