"""LSTM, GRU and RNN against NumPy in double precision: directions, lengths of sequences, first states, peepholes, activations."""
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from small_models import qcc, relative_error, run

RNG = np.random.default_rng(0)
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, h, c, w, r, b, p):
    i, o, f, g = np.split(x @ w.T + h @ r.T + b[0] + b[1], 4, -1)
    i, f = sigmoid(i + p[0] * c), sigmoid(f + p[2] * c)
    c = f * c + i * np.tanh(g)
    return sigmoid(o + p[1] * c) * np.tanh(c), c


def gru(x, h, c, w, r, b, resets_product):
    (xz, xr, xh), (hz, hr, hh) = np.split(x @ w.T + b[0], 3, -1), np.split(h @ r.T + b[1], 3, -1)
    update, reset = sigmoid(xz + hz), sigmoid(xr + hr)
    size = h.shape[-1]
    candidate = np.tanh(xh + (reset * hh if resets_product else (reset * h) @ r[2 * size:].T + b[1][2 * size:]))
    return (1 - update) * candidate + update * h, c


def sequence(step, x, lengths, h, c, backwards):
    """All hidden states (0 behind a sequence's end), and the last states."""
    y = np.zeros((x.shape[0], *h.shape))
    for n, length in enumerate(lengths):
        for t in reversed(range(length)) if backwards else range(length):
            h[n], c[n] = step(x[t, n], h[n], c[n])
            y[t, n] = h[n]
    return y, h, c


def reference(op, arrays, direction, resets_product):
    arrays = {name: array.astype(np.float64 if array.dtype == np.float32 else array.dtype) for name, array in arrays.items()}
    outputs = []
    for d in range(arrays["w"].shape[0]):
        w, r, b = arrays["w"][d], arrays["r"][d], arrays["b"][d].reshape(2, -1)
        step = {"LSTM": lambda x, h, c: lstm(x, h, c, w, r, b, arrays["p"][d].reshape(3, -1)),
                "GRU": lambda x, h, c: gru(x, h, c, w, r, b, resets_product),
                "RNN": lambda x, h, c: (np.tanh(x @ w.T + h @ r.T + b[0] + b[1]), c)}[op]
        outputs.append(sequence(step, arrays["x"], arrays["lengths"], arrays["h"][d], arrays["c"][d], d == 1 or direction == "reverse"))
    y, h, c = (np.stack(part) for part in zip(*outputs))
    return y.swapaxes(0, 1), h, c


def build(op, arrays, dynamic=False, outputs=("y", "h_last", "c_last"), **attributes):
    names = ["x", "w", "r", "b", "lengths", "h"] + ["c", "p"] * (op == "LSTM")
    value = helper.make_tensor_value_info
    inputs = [value(name, TensorProto.INT32 if name == "lengths" else TensorProto.FLOAT,
                    [f"{name}{i}" for i in range(arrays[name].ndim)] if dynamic else arrays[name].shape) for name in names]
    outputs = outputs[:3 if op == "LSTM" else 2]
    graph = helper.make_graph([helper.make_node(op, names, list(outputs), **attributes)], "g", inputs, [value(name, TensorProto.FLOAT, None) for name in outputs])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10), names


def operands(op, directions, steps=6, batch=3, size=5, hidden=19):
    gates = GATES[op]
    shapes = {"x": (steps, batch, size), "w": (directions, gates * hidden, size), "r": (directions, gates * hidden, hidden),
              "b": (directions, 2 * gates * hidden), "h": (directions, batch, hidden), "c": (directions, batch, hidden), "p": (directions, 3 * hidden)}
    arrays = {name: RNG.uniform(-0.7, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["lengths"] = np.array([steps, 1, steps - 2], np.int32)
    return arrays


@pytest.mark.parametrize("direction, dynamic", (("forward", True), ("reverse", False), ("bidirectional", False), ("bidirectional", True)))
@pytest.mark.parametrize("op, resets_product", (("LSTM", 0), ("GRU", 0), ("GRU", 1), ("RNN", 0)))
def test_sequences(op, resets_product, direction, dynamic, tmp_path):
    arrays = operands(op, 2 if direction == "bidirectional" else 1)
    attributes = {"linear_before_reset": resets_product} if op == "GRU" else {}
    m, names = build(op, arrays, dynamic, hidden_size=19, direction=direction, **attributes)
    actual = run(m, tmp_path, **{name: arrays[name] for name in names})
    for a, e in zip(actual, reference(op, arrays, direction, resets_product)):
        assert a.shape == e.shape and relative_error(a, e) < 1e-6


@pytest.mark.parametrize("op", GATES)
def test_batch_first(op, tmp_path):
    arrays = operands(op, 2)
    y, h, c = reference(op, arrays, "bidirectional", 0)
    turned = {name: array.swapaxes(0, 1).copy() if name in ("x", "h", "c") else array for name, array in arrays.items()}
    m, names = build(op, turned, hidden_size=19, direction="bidirectional", layout=1)
    actual = run(m, tmp_path, **{name: turned[name] for name in names})
    for a, e in zip(actual, (y.transpose(2, 0, 1, 3), h.swapaxes(0, 1), c.swapaxes(0, 1))):
        assert a.shape == e.shape and relative_error(a, e) < 1e-6


def test_activations_of_each_direction(tmp_path):
    arrays = operands("RNN", 2)
    m, names = build("RNN", arrays, hidden_size=19, direction="bidirectional", activations=["LeakyRelu", "Affine"], activation_alpha=[0.25, 0.5],
                     activation_beta=[0.125])
    y = run(m, tmp_path, **{name: arrays[name] for name in names})[0]
    functions = (lambda x: np.where(x < 0, x / 4, x), lambda x: x / 2 + 0.125)
    for d, function in enumerate(functions):
        w, r, b = (arrays[name][d].astype(np.float64) for name in "wrb")
        step = lambda x, h, c: (function(x @ w.T + h @ r.T + b.reshape(2, -1).sum(0)), c)
        expected = sequence(step, arrays["x"], arrays["lengths"], arrays["h"][d].astype(np.float64), arrays["c"][d].astype(np.float64), d == 1)[0]
        assert relative_error(y[:, d], expected) < 1e-6


@pytest.mark.parametrize("attributes, message", (
    ({"activations": ["Tanh", "Sine"]}, "RNN has the unknown activation 'Sine'"),
    ({"activations": ["Tanh"]}, "RNN has 1 activations for 2 directions of 1 each"),
    ({"activations": ["ScaledTanh", "Tanh"]}, "RNN has the activation ScaledTanh without an alpha and a beta for it"),
    ({"direction": "sideways"}, "RNN has the unknown direction 'sideways'"),
))
def test_errors(attributes, message, tmp_path):
    m, _ = build("RNN", operands("RNN", 2), **{"hidden_size": 19, "direction": "bidirectional", **attributes})
    done = qcc(m, tmp_path, "-o", tmp_path / "model.qcc")
    assert done.returncode == 2 and message in done.stderr


def test_a_length_beyond_the_input_ends_the_run(tmp_path):
    arrays = operands("RNN", 1)
    arrays["lengths"][1] = 7
    m, names = build("RNN", arrays, hidden_size=19)
    with pytest.raises(AssertionError, match="y"):
        run(m, tmp_path, **{name: arrays[name] for name in names})


def as_codes(x):
    """The values of x as codes of uint8, and with the scale that covers all of them, as DynamicQuantizeLinear has them."""
    low, high = np.float32(min(x.min(), 0)), np.float32(max(x.max(), 0))
    scale = np.float32(1) if low == high else (high - low) / np.float32(255)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return (np.clip(np.rint(x / scale) + zero, 0, 255) - zero) * scale


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("per_gate", [False, True])
def test_lstm_of_codes(direction, per_gate, tmp_path):
    """DynamicQuantizeLSTM: one scale for the input, and one for all hidden states of a direction before each step."""
    steps, batch, size, hidden, directions = 7, 3, 10, 20, 1 + (direction == "bidirectional")
    random = np.random.default_rng(3)
    x, b = random.standard_normal((steps, batch, size)).astype(np.float32), random.standard_normal((directions, 8 * hidden)).astype(np.float32)
    scales = (directions, 4 * hidden) if per_gate else (directions,)
    arrays = {"b": b}
    for name, rows in (("w", size), ("r", hidden)):
        arrays[name] = random.integers(-128, 128, (directions, rows, 4 * hidden)).astype(np.int8)
        arrays[f"{name}_scale"] = (random.random(scales) * 0.01 + 0.002).astype(np.float32)
        arrays[f"{name}_zero"] = random.integers(-5, 6, scales).astype(np.int8)
    value = helper.make_tensor_value_info
    operands = ["x", "w", "r", "b", "", "", "", "", "w_scale", "w_zero", "r_scale", "r_zero"]
    node = helper.make_node("DynamicQuantizeLSTM", operands, ["y", "h", "c"], domain="com.microsoft", direction=direction, hidden_size=hidden)
    graph = helper.make_graph([node], "g", [value("x", TensorProto.FLOAT, [None, batch, size])], [value(name, TensorProto.FLOAT, None) for name in "yhc"],
                              [numpy_helper.from_array(array, name) for name, array in arrays.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)

    def values(name, d):
        scale, zero = (arrays[f"{name}_{part}"].astype(np.float64)[d] for part in ("scale", "zero"))
        return ((arrays[name][d] - zero) * scale).T
    outputs = []
    for d in range(directions):
        w, r = values("w", d), values("r", d)
        step = lambda x, h, c: lstm(x, h, c, w, r, b[d].reshape(2, -1), np.zeros((3, hidden)))
        h, c, y = np.zeros((batch, hidden), np.float32), np.zeros((batch, hidden)), np.zeros((steps, batch, hidden))
        for t in reversed(range(steps)) if d == 1 or direction == "reverse" else range(steps):
            h, c = step(as_codes(x)[t], as_codes(h), c)
            y[t], h = h, h.astype(np.float32)
        outputs.append((y, h, c))
    y, h, c = (np.stack(part) for part in zip(*outputs))
    for actual, expected in zip(run(model, tmp_path, x=x), (y.swapaxes(0, 1), h, c)):
        assert relative_error(actual, expected) < 1e-5


def test_an_lstm_of_codes_without_scales_is_refused(tmp_path):
    node = helper.make_node("DynamicQuantizeLSTM", ["x", "w", "r"], ["y"], domain="com.microsoft", hidden_size=2)
    value = helper.make_tensor_value_info
    graph = helper.make_graph([node], "g", [value("x", TensorProto.FLOAT, [1, 1, 2]), value("w", TensorProto.INT8, [1, 2, 8]), value("r", TensorProto.INT8, [1, 2, 8])],
                              [value("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)
    done = qcc(model, tmp_path, "-o", tmp_path / "model.qcc")
    assert done.returncode == 2 and "scales and zeros" in done.stderr
