"""Activations that exporters spell out become one operator, in every order of sums and products; what only looks like one stays."""
import math

import numpy as np
import pytest

from small_models import canonical, parse, relative_error, run

X = np.linspace(-6, 6, 240, dtype=np.float32)
ERF = np.vectorize(math.erf)
GELU = X * 0.5 * (1 + ERF(X / math.sqrt(2)))
TANH_GELU = X * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X.astype(np.float64) ** 3)))
CONSTANTS = """half = Constant <value_float = 0.5> () one = Constant <value_float = 1.0> () two = Constant <value_float = 2.0> ()
    root2 = Constant <value_float = 1.41421354> () rsqrt2 = Constant <value_float = 0.707106769> () three = Constant <value_float = 3.0> ()
    six = Constant <value_float = 6.0> () zero = Constant <value_float = 0.0> () cubic = Constant <value_float = 0.044715> ()
    slope = Constant <value_float = 0.797884583> () fast = Constant <value_float = 1.702> () third = Constant <value_float = 0.3333> ()
    short = Constant <value_float = 0.7>() minus = Constant <value_float = -1.702> () """


def model(body, element="float", opset=20):
    constants = CONSTANTS if element == "float" else ""
    return parse(f"agraph ({element}[n] x) => ({element}[n] y) {{ {constants} {body} }}", opset)


ERF_FORMS = {
    "onnx": "a = Div(x, root2) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)",
    "torch 2": "a = Mul(x, half) b = Mul(x, rsqrt2) c = Erf(b) d = Add(one, c) y = Mul(a, d)",
    "half times sum": "a = Mul(rsqrt2, x) b = Erf(a) c = Add(b, one) d = Mul(c, half) y = Mul(d, x)",
    "half of all": "a = Div(x, root2) b = Erf(a) c = Add(one, b) d = Mul(c, x) y = Div(d, two)",
}
TANH_FORMS = {
    "cube by Pow": "a = Pow(x, three) b = Mul(a, cubic) c = Add(x, b) d = Mul(c, slope) e = Tanh(d) f = Add(e, one) g = Mul(x, f) y = Mul(g, half)",
    "cube by products": "a = Mul(x, x) b = Mul(a, x) c = Mul(cubic, b) d = Add(c, x) e = Mul(slope, d) f = Tanh(e) g = Add(one, f) h = Mul(half, x) y = Mul(h, g)",
    "factored": "a = Mul(x, x) b = Mul(a, cubic) c = Add(b, one) d = Mul(slope, x) e = Mul(d, c) f = Tanh(e) g = Add(f, one) h = Mul(g, half) y = Mul(x, h)",
}


@pytest.mark.parametrize("form", ERF_FORMS)
def test_gelu(form, tmp_path):
    m = model(ERF_FORMS[form])
    operators, text = canonical(m, tmp_path)
    assert operators == ["Gelu"] and 'approximate = "none"' in text
    assert relative_error(run(m, tmp_path, x=X)[0], GELU) < 2e-7


@pytest.mark.parametrize("form", TANH_FORMS)
def test_tanh_gelu(form, tmp_path):
    m = model(TANH_FORMS[form])
    operators, text = canonical(m, tmp_path)
    assert operators == ["Gelu"] and 'approximate = "tanh"' in text
    assert relative_error(run(m, tmp_path, x=X)[0], TANH_GELU) < 2e-7


@pytest.mark.parametrize("body, alpha", [
    ("s = Sigmoid(x) y = Mul(x, s)", 1),
    ("s = Sigmoid(x) y = Mul(s, x)", 1),
    ("a = Mul(x, fast) s = Sigmoid(a) y = Mul(x, s)", 1.702),
    ("n = Neg(x) e = Exp(n) s = Add(one, e) y = Div(x, s)", 1),
    ("n = Neg(x) e = Exp(n) s = Add(e, one) r = Reciprocal(s) y = Mul(x, r)", 1),
    ("a = Mul(minus, x) e = Exp(a) s = Add(one, e) r = Div(one, s) y = Mul(r, x)", 1.702),
])
def test_swish(body, alpha, tmp_path):
    m = model(body)
    operators, _ = canonical(m, tmp_path)
    assert operators == ["Swish"]
    assert relative_error(run(m, tmp_path, x=X)[0], X / (1 + np.exp(-alpha * X.astype(np.float64)))) < 2e-7


@pytest.mark.parametrize("body", [
    "a = Add(x, three) b = Clip(a, zero, six) c = Mul(x, b) y = Div(c, six)",
    "a = Add(three, x) b = Clip(a, zero, six) c = Div(b, six) y = Mul(c, x)",
    "a = HardSigmoid <alpha = 0.166666672, beta = 0.5> (x) y = Mul(x, a)",
])
def test_hard_swish(body, tmp_path):
    m = model(body)
    assert canonical(m, tmp_path)[0] == ["HardSwish"]
    assert relative_error(run(m, tmp_path, x=X)[0], X * np.clip(X.astype(np.float64) / 6 + 0.5, 0, 1)) < 2e-7


def test_mish(tmp_path):
    m = model("a = Softplus(x) b = Tanh(a) y = Mul(x, b)")
    assert canonical(m, tmp_path)[0] == ["Mish"]
    assert relative_error(run(m, tmp_path, x=X)[0], X * np.tanh(np.log1p(np.exp(X.astype(np.float64))))) < 3e-7


def test_half_precision_constants(tmp_path):
    # the bits of 0.5, 1 and 0.70703125
    body = """h = Constant <value = float16 {14336}> () o = Constant <value = float16 {15360}> () r = Constant <value = float16 {14760}> ()
        a = Mul(x, r) b = Erf(a) c = Add(b, o) d = Mul(x, c) y = Mul(d, h)"""
    assert canonical(model(body, "float16"), tmp_path)[0] == ["Gelu"]


@pytest.mark.parametrize("body", [
    "a = Mul(x, short) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)",  # another scale in erf
    "a = Div(x, root2) b = Erf(a) c = Add(b, one) y = Mul(x, c)",  # twice as much
    "a = Div(x, root2) b = Erf(a) c = Add(b, half) d = Mul(x, c) y = Mul(d, half)",  # another sum
    "z = Abs(x) a = Div(z, root2) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)",  # of another value
    "a = Pow(x, two) b = Mul(a, cubic) c = Add(x, b) d = Mul(c, slope) e = Tanh(d) f = Add(e, one) g = Mul(x, f) y = Mul(g, half)",  # a square
    "z = Abs(x) s = Sigmoid(z) y = Mul(x, s)",
    "a = Add(x, one) s = Sigmoid(a) y = Mul(x, s)",
    "a = Add(x, two) b = Clip(a, zero, six) c = Mul(x, b) y = Div(c, six)",
    "a = Add(x, three) b = Clip(a, zero, three) c = Mul(x, b) y = Div(c, six)",
    "a = HardSigmoid (x) y = Mul(x, a)",
])
def test_what_only_looks_like_one(body, tmp_path):
    assert not {"Gelu", "Swish", "HardSwish"} & set(canonical(model(body), tmp_path)[0])


def test_intermediate_results_that_others_need_stay(tmp_path):
    m = parse("agraph (float[n] x) => (float[n] y, float[n] s) { s = Sigmoid(x) y = Mul(x, s) }")
    assert sorted(canonical(m, tmp_path)[0]) == ["Sigmoid", "Swish"]


def test_a_product_that_is_broadcast_is_none(tmp_path):
    m = parse("agraph (float[1] x, float[n] z) => (float[n] y) { s = Sigmoid(x) a = Mul(x, s) y = Mul(z, a) }")
    assert canonical(m, tmp_path)[0] == ["Swish", "Mul"]
