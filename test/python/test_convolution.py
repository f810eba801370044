"""Convolutions and pooling against NumPy in double precision: windows of all kinds, and the paths they take through the compiler."""
import itertools

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from small_models import parse, qcc, relative_error, run

RNG = np.random.default_rng(0)


def model(op, attributes, shapes, dynamic=False, outputs=("y",), element=TensorProto.FLOAT):
    """One node; with `dynamic`, no length but the channels' is known when it is compiled."""
    value = helper.make_tensor_value_info
    inputs = [value(name, element, [f"{name}{i}" if dynamic and i != 1 else n for i, n in enumerate(shape)]) for name, shape in shapes.items()]
    results = [value(name, TensorProto.INT64 if name == "indices" else element, None) for name in outputs]
    graph = helper.make_graph([helper.make_node(op, list(shapes), list(outputs), **attributes)], "g", inputs, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def windows(x, kernel, strides, pads, dilations, outside):
    """N × C × output × taps, and the same of what is inside."""
    axes = len(kernel)
    both = [np.pad(array, [(0, 0)] * 2 + list(zip(pads[:axes], pads[axes:])), constant_values=fill) for array, fill in ((x, outside), (np.ones_like(x), 0))]
    result = []
    for array in both:
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
        view = np.lib.stride_tricks.sliding_window_view(array, reach, axis=tuple(range(2, 2 + axes)))
        view = view[(slice(None),) * 2 + tuple(slice(None, None, s) for s in strides) + tuple(slice(None, None, d) for d in dilations)]
        result.append(view.reshape(*view.shape[:2 + axes], -1))
    return result


def convolve(x, w, b, group, strides, pads, dilations):
    view, _ = windows(x.astype(np.float64), w.shape[2:], strides, pads, dilations, 0)
    parts = []
    for xs, ws in zip(np.split(view, group, 1), np.split(w.astype(np.float64).reshape(*w.shape[:2], -1), group, 0)):
        parts.append(np.einsum("nc...k,mck->nm...", xs, ws))
    return np.concatenate(parts, 1) + b.reshape(-1, *[1] * (x.ndim - 2))


CONVOLUTIONS = {  # input, output channels, kernel, group, strides, pads, dilations
    "1 x 1": ((2, 5, 6, 7), 9, (1, 1), 1, (1, 1), (0, 0, 0, 0), (1, 1)),
    "1 x 1 strided": ((2, 5, 6, 7), 9, (1, 1), 1, (2, 2), (0, 0, 0, 0), (1, 1)),
    "3 x 3": ((2, 5, 9, 11), 33, (3, 3), 1, (1, 1), (1, 1, 1, 1), (1, 1)),
    "3 x 3 strided": ((1, 3, 16, 17), 8, (3, 3), 1, (2, 2), (1, 1, 1, 1), (1, 1)),
    "unpadded": ((1, 3, 9, 8), 4, (3, 2), 1, (1, 1), (0, 0, 0, 0), (1, 1)),
    "dilated": ((1, 4, 12, 13), 6, (3, 3), 2, (3, 2), (2, 0, 1, 3), (2, 3)),
    "many channels": ((2, 7, 19, 45), 50, (3, 3), 1, (1, 1), (1, 1, 1, 1), (1, 1)),
    "strided rows": ((1, 6, 40, 100), 30, (5, 3), 2, (2, 2), (2, 1, 2, 1), (1, 1)),
    "strided and dilated": ((1, 4, 30, 50), 7, (3, 3), 1, (1, 2), (2, 3, 2, 3), (2, 3)),
    "long": ((2, 300, 20), 20, (5,), 1, (1,), (4, 0), (1,)),
    "volume": ((1, 4, 5, 6, 7), 6, (2, 3, 2), 2, (1, 2, 1), (0, 1, 1, 1, 0, 0), (1, 1, 2)),
    "depthwise": ((2, 12, 30, 31), 12, (3, 3), 12, (1, 1), (1, 1, 1, 1), (1, 1)),
    "depthwise small": ((2, 12, 7, 7), 12, (3, 3), 12, (1, 1), (1, 1, 1, 1), (1, 1)),
    "depthwise strided": ((1, 6, 15, 40), 6, (3, 3), 6, (2, 2), (0, 1, 1, 0), (1, 1)),
    "depthwise 7 x 7": ((1, 6, 14, 80), 6, (7, 7), 6, (1, 1), (3, 3, 3, 3), (1, 1)),
    "depthwise multiplied": ((1, 5, 9, 9), 15, (5, 3), 5, (1, 1), (2, 1, 2, 1), (1, 1)),
    "depthwise long kernel": ((1, 3, 90), 3, (31,), 3, (1,), (15, 15), (1,)),
}


@pytest.mark.parametrize("dynamic, target", ((False, "native"), (False, "x86-64-v2"), (False, "x86-64-v3"), (True, "native")))
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name, dynamic, target, tmp_path):
    shape, outputs, kernel, group, strides, pads, dilations = CONVOLUTIONS[name]
    arrays = {"x": shape, "w": (outputs, shape[1] // group, *kernel), "b": (outputs,)}
    arrays = {key: RNG.standard_normal(value).astype(np.float32) for key, value in arrays.items()}
    attributes = {"group": group, "strides": strides, "pads": pads, "dilations": dilations}
    shapes = {key: array.shape for key, array in arrays.items()}
    y, = run(model("Conv", attributes, shapes, dynamic), tmp_path, f"--target={target}", **arrays)
    expected = convolve(**arrays, **attributes)
    assert y.shape == expected.shape and relative_error(y, expected) < 1e-6


CONSTANT = {  # input, output channels, pads, what follows: 3 x 3 with constant weights
    "16 channels": ((2, 16, 32, 32), 16, (1, 1, 1, 1), None),
    "odd lengths": ((1, 20, 9, 11), 33, (1, 1, 1, 1), "Relu"),
    "unpadded": ((2, 16, 21, 20), 24, (0, 0, 0, 0), None),
    "padded unevenly": ((1, 16, 10, 70), 16, (0, 1, 2, 0), "Sigmoid"),
    "short rows": ((1, 32, 8, 8), 40, (1, 1, 1, 1), "Sigmoid"),
}


@pytest.mark.parametrize("target", ("native", "x86-64-v2", "x86-64-v3"))
@pytest.mark.parametrize("name", CONSTANT)
def test_constant_weights(name, target, tmp_path):
    shape, outputs, pads, after = CONSTANT[name]
    x, w, b = (RNG.standard_normal(s).astype(np.float32) for s in (shape, (outputs, shape[1], 3, 3), (outputs,)))
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c" if after else "y"], pads=pads)]
    if after:
        nodes.append(helper.make_node(after, ["c"], ["y"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, ["N", *shape[1:]])], [value("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")])
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    assert "Winograd" in qcc(m, tmp_path, "--emit=canonical", "-o", "-").stdout
    expected = convolve(x, w, b, 1, (1, 1), pads, (1, 1))
    expected = {None: expected, "Relu": np.maximum(expected, 0), "Sigmoid": 1 / (1 + np.exp(-expected))}[after]
    assert relative_error(run(m, tmp_path, f"--target={target}", x=x)[0], expected) < 1e-6


def test_convolution_of_a_computed_input_into_what_follows(tmp_path):
    m = parse("""agraph (float[1, 4, 10, 9] x, float[6, 4, 3, 3] w, float[1, 6, 10, 9] z) => (float[1, 6, 10, 9] y) {
                     r = Relu(x)  c = Conv <pads = [1, 1, 1, 1]> (r, w)  s = Add(c, z)  y = Relu(s) }""")
    x, w, z = (RNG.standard_normal(shape).astype(np.float32) for shape in ((1, 4, 10, 9), (6, 4, 3, 3), (1, 6, 10, 9)))
    expected = np.maximum(convolve(np.maximum(x, 0), w, np.zeros(6), 1, (1, 1), (1, 1, 1, 1), (1, 1)) + z, 0)
    assert relative_error(run(m, tmp_path, x=x, w=w, z=z)[0], expected) < 1e-6


@pytest.mark.parametrize("element, dtype, tolerance", ((TensorProto.DOUBLE, np.float64, 1e-14), (TensorProto.FLOAT16, np.float16, 1e-3)))
def test_other_floats(element, dtype, tolerance, tmp_path):
    x, w, b = (RNG.standard_normal(shape).astype(dtype) for shape in ((1, 4, 8, 9), (6, 4, 3, 3), (6,)))
    m = model("Conv", {"pads": (1, 1, 1, 1)}, {"x": x.shape, "w": w.shape, "b": b.shape}, element=element)
    assert relative_error(run(m, tmp_path, x=x, w=w, b=b)[0], convolve(x, w, b, 1, (1, 1), (1, 1, 1, 1), (1, 1))) < tolerance


@pytest.mark.parametrize("group, strides, pads, extra, dilations", ((1, (1, 1), (0, 0, 0, 0), (0, 0), (1, 1)), (2, (2, 3), (1, 0, 2, 1), (1, 2), (1, 1)),
                                                                    (3, (2, 2), (1, 1, 1, 1), (1, 1), (2, 1))))
def test_transposed(group, strides, pads, extra, dilations, tmp_path):
    x, w, b = (RNG.standard_normal(shape).astype(np.float32) for shape in ((2, 6, 5, 4), (6, 3, 3, 2), (3 * group,)))
    full = np.zeros((2, 3 * group, *[(n - 1) * s + (k - 1) * d + 1 + e for n, s, k, d, e in zip(x.shape[2:], strides, w.shape[2:], dilations, extra)]))
    for g, (xs, ws) in enumerate(zip(np.split(x.astype(np.float64), group, 1), np.split(w, group, 0))):
        for i, j, p, q in itertools.product(*map(range, (*x.shape[2:], *w.shape[2:]))):
            full[:, 3 * g:3 * g + 3, i * strides[0] + p * dilations[0], j * strides[1] + q * dilations[1]] += xs[:, :, i, j] @ ws[:, :, p, q]
    expected = full[:, :, pads[0]:full.shape[2] - pads[2], pads[1]:full.shape[3] - pads[3]] + b.reshape(-1, 1, 1)
    m = model("ConvTranspose", {"group": group, "strides": strides, "pads": pads, "output_padding": extra, "dilations": dilations},
              {"x": x.shape, "w": w.shape, "b": b.shape})
    y, = run(m, tmp_path, x=x, w=w, b=b)
    assert y.shape == expected.shape and relative_error(y, expected) < 1e-6


POOLS = ({"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}, {"kernel_shape": (2, 2), "strides": (2, 2)},
         {"kernel_shape": (3, 2), "dilations": (2, 1)}, {"kernel_shape": (6, 7), "pads": (2, 3, 3, 1)})


@pytest.mark.parametrize("attributes", POOLS)
@pytest.mark.parametrize("op", ("MaxPool", "AveragePool", "LpPool"))
@pytest.mark.parametrize("dynamic", (False, True))
def test_pool(op, attributes, dynamic, tmp_path):
    x = RNG.standard_normal((2, 3, 14, 33)).astype(np.float32)
    full = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), **attributes}
    view, inside = windows(x.astype(np.float64), full["kernel_shape"], full["strides"], full["pads"], full["dilations"], -np.inf if op == "MaxPool" else 0)
    expected = {"MaxPool": view.max(-1), "AveragePool": view.sum(-1) / inside.sum(-1), "LpPool": np.sqrt((view**2).sum(-1))}[op]
    y, = run(model(op, attributes, {"x": x.shape}, dynamic), tmp_path, x=x)
    assert y.shape == expected.shape and relative_error(y, expected) < 1e-6


def test_maximum_and_where_it_stands(tmp_path):
    x = RNG.permutation(2 * 3 * 8 * 9).reshape(2, 3, 8, 9).astype(np.float32)
    y, indices = run(model("MaxPool", {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}, {"x": x.shape}, outputs=("y", "indices")), tmp_path, x=x)
    assert np.array_equal(x.reshape(-1)[indices], y)
    assert np.array_equal(y, windows(x, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), -1)[0].max(-1))


@pytest.mark.parametrize("op, attributes, shapes, message", (
    ("Conv", {"group": 2}, {"x": (1, 4, 5, 5), "w": (4, 4, 3, 3)}, "has an operand with 4 channels where its weights say 8"),
    ("Conv", {"strides": (0, 1)}, {"x": (1, 4, 5, 5), "w": (4, 4, 3, 3)}, "has 0 in 'strides', which must be at least 1"),
    ("Conv", {}, {"x": (1, 4, 5, 5), "w": (4, 4, 6, 3)}, "has a kernel that is longer than its padded input"),
    ("Conv", {"pads": (1, 1)}, {"x": (1, 4, 5, 5), "w": (4, 4, 3, 3)}, "has 2 numbers in 'pads' for 2 spatial axes"),
    ("Conv", {}, {"x": (1, 4, 5, 5), "w": (4, 4, 3, 3), "b": (3,)}, "has a bias that is not one number for each output channel"),
    ("MaxPool", {"kernel_shape": (2, 2), "auto_pad": "SOME"}, {"x": (1, 4, 5, 5)}, "has the unknown auto_pad 'SOME'"),
))
def test_errors(op, attributes, shapes, message, tmp_path):
    done = qcc(model(op, attributes, shapes), tmp_path, "-o", tmp_path / "model.qcc")
    assert done.returncode == 2 and f"{op} {message}" in done.stderr


def test_channels_that_do_not_fit_end_the_run(tmp_path):
    m = parse("agraph (float[1, c, 5, 5] x, float[m, k, 3, 3] w) => (float[1, m, 3, 3] y) { y = Conv(x, w) }")
    with pytest.raises(AssertionError, match="y"):
        run(m, tmp_path, x=np.ones((1, 4, 5, 5), np.float32), w=np.ones((2, 3, 3, 3), np.float32))
