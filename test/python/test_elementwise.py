"""Elementwise operators against NumPy in double precision: accuracy, broadcasting, the edges of integer arithmetic and of float types."""
import math

import numpy as np
import pytest

from small_models import parse, qcc, relative_error, run

RNG = np.random.default_rng(0)
ERF = np.vectorize(math.erf)


def uniform(low, high, count=4000):
    return RNG.uniform(low, high, count)


def magnitudes(low, high, count=4000, sign=True):
    values = np.exp(RNG.uniform(math.log(low), math.log(high), count))
    return values * RNG.choice([-1, 1], count) if sign else values


# function, arguments, and the error allowed in units of the last place of f32
FUNCTIONS = {
    "Exp": (np.exp, uniform(-87, 88), 2),
    "Log": (np.log, magnitudes(1e-44, 1e38, sign=False), 2),
    "Tanh": (np.tanh, np.concatenate([uniform(-10, 10), magnitudes(1e-8, 1)]), 6),
    "Sigmoid": (lambda x: 1 / (1 + np.exp(-x)), uniform(-80, 80), 4),
    "Erf": (ERF, np.concatenate([uniform(-5, 5), magnitudes(1e-8, 1)]), 6),
    "Sin": (np.sin, np.concatenate([uniform(-10, 10), uniform(-1e4, 1e4), magnitudes(1e-8, 1)]), 2),
    "Cos": (np.cos, np.concatenate([uniform(-10, 10), uniform(-1e4, 1e4)]), 2),
    "Tan": (np.tan, uniform(-100, 100), 2),
    "Asin": (np.arcsin, uniform(-1, 1), 8),
    "Acos": (np.arccos, uniform(-1, 1), 4),
    "Atan": (np.arctan, magnitudes(1e-6, 1e6), 2),
    "Sinh": (np.sinh, uniform(-10, 10), 4),
    "Cosh": (np.cosh, uniform(-10, 10), 4),
    "Asinh": (np.arcsinh, magnitudes(1e-6, 1e6), 4),
    "Acosh": (np.arccosh, uniform(1.01, 100), 4),
    "Atanh": (np.arctanh, uniform(-0.999, 0.999), 4),
    "Softplus": (lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), uniform(-20, 20), 4),
    "Mish": (lambda x: x * np.tanh(np.log1p(np.exp(x))), uniform(-15, 40), 6),
    "Elu": (lambda x: np.where(x < 0, np.expm1(x), x), uniform(-10, 2), 4),
    "Sqrt": (np.sqrt, magnitudes(1e-38, 1e38, sign=False), 0.51),
    "Round": (np.round, np.concatenate([uniform(-9, 9), np.arange(-5.5, 6)]), 0),
}


def units_in_the_last_place(actual, expected):
    spacing = np.spacing(np.abs(expected.astype(actual.dtype))).astype(np.longdouble)
    return float(np.max(np.abs(actual.astype(np.longdouble) - expected) / spacing))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, tmp_path):
    function, arguments, allowed = FUNCTIONS[name]
    m = parse(f"agraph (float[n] x, double[n] z) => (float[n] y, double[n] w) {{ y = {name}(x) w = {name}(z) }}")
    x, z = arguments.astype(np.float32), arguments
    y, w = run(m, tmp_path, x=x, z=z)
    assert units_in_the_last_place(y, function(x.astype(np.float64))) <= allowed
    exact = ERF(z).astype(np.longdouble) if name == "Erf" else function(z.astype(np.longdouble))
    assert units_in_the_last_place(w, exact) <= max(allowed, 4)


@pytest.mark.parametrize("name, values", [
    ("Exp", {0: 1, math.inf: math.inf, -math.inf: 0, 100: math.inf}),
    ("Log", {0: -math.inf, math.inf: math.inf, -1: math.nan, 1: 0}),
    ("Tanh", {math.inf: 1, -math.inf: -1, 50: 1}),
    ("Sigmoid", {math.inf: 1, -math.inf: 0}),
    ("Erf", {math.inf: 1, -math.inf: -1}),
    ("Sin", {math.inf: math.nan, 0: 0}),
    ("Cos", {-math.inf: math.nan, 0: 1}),
    ("Atan", {math.inf: math.pi / 2, -math.inf: -math.pi / 2}),
    ("Sign", {0: 0, -3: -1, math.inf: 1}),
    ("Relu", {-math.inf: 0, math.inf: math.inf}),
    ("Softplus", {math.inf: math.inf, -math.inf: 0}),
    ("Mish", {math.inf: math.inf}),
])
def test_edges_of_functions(name, values, tmp_path):
    x = np.array([*values, math.nan], np.float32)
    y = run(parse(f"agraph (float[n] x) => (float[n] y) {{ y = {name}(x) }}"), tmp_path, x=x)[0]
    np.testing.assert_allclose(y, np.array([*values.values(), math.nan]), rtol=1e-6)


def test_power(tmp_path):
    edges = np.array([0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, 1e-45, 3e38, -3e38, np.inf, -np.inf, np.nan, 0.1, -7, 1e10], np.float32)
    a, b = (grid.ravel().copy() for grid in np.meshgrid(edges, edges))
    m = parse("agraph (float[n] a, float[n] b) => (float[n] y) { y = Pow(a, b) }")
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(run(m, tmp_path, a=a, b=b)[0], np.power(a, b), rtol=2e-7)
    a, b = uniform(0.01, 10).astype(np.float32), uniform(-15, 15).astype(np.float32)
    np.testing.assert_allclose(run(m, tmp_path, a=a, b=b)[0], a.astype(np.float64) ** b, rtol=1e-7)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, -2, 0.5, 2.5])
def test_known_power(exponent, tmp_path):
    m = parse(f"agraph (float[n] x) => (float[n] y) {{ e = Constant <value_float = {float(exponent)}> () y = Pow(x, e) }}")
    x = uniform(0.1, 3).astype(np.float32)
    np.testing.assert_allclose(run(m, tmp_path, x=x)[0], x.astype(np.float64) ** exponent, rtol=3e-7)


def test_integer_division(tmp_path):
    m = parse("""agraph (int32[n] a, int32[n] b) => (int32[n] q, int32[n] r, int32[n] f) { q = Div(a, b) r = Mod(a, b) f = Mod <fmod = 1> (a, b) }""")
    a, b = np.array([7, -7, 7, -7, 0, -2**31, 5], np.int32), np.array([2, 2, -2, -2, 3, -1, 0], np.int32)
    q, r, f = run(m, tmp_path, a=a, b=b)
    assert q.tolist() == [3, -3, -3, 3, 0, -2**31, 0]
    assert r.tolist() == [1, 1, -1, -1, 0, 0, 0]
    assert f.tolist() == [1, -1, 1, -1, 0, 0, 0]


def test_unsigned(tmp_path):
    m = parse("""agraph (uint8[n] a, uint8[n] b) => (uint8[n] q, bool[n] l, uint8[n] x, uint8[n] s, float[n] c) {
        q = Div(a, b) l = Less(a, b) x = Max(a, b) s = BitShift <direction = "RIGHT"> (a, b) c = Cast <to = 1> (a) }""")
    a, b = np.array([200, 7, 255], np.uint8), np.array([3, 200, 1], np.uint8)
    q, less, largest, shifted, cast = run(m, tmp_path, a=a, b=b)
    assert q.tolist() == [66, 0, 255] and less.tolist() == [False, True, False] and largest.tolist() == [200, 200, 255]
    assert shifted.tolist() == [25, 0, 127] and cast.tolist() == [200, 7, 255]


@pytest.mark.parametrize("seed", range(8))
def test_broadcasting(seed, tmp_path):
    """Chains of operators whose operands are stretched along any axes, with lengths known early or late."""
    rng = np.random.default_rng(seed)
    shape = [int(rng.choice([1, 2, 3, 7, 16])) for _ in range(rng.integers(1, 5))]
    operands = [rng.standard_normal([n if rng.random() < 0.6 else 1 for n in shape[rng.integers(0, len(shape) + 1):]]).astype(np.float32) for _ in range(4)]
    operands.append(rng.standard_normal(shape).astype(np.float32))
    inputs = ", ".join(f"float[{', '.join(f'd{i}_{j}' if seed % 2 else str(n) for j, n in enumerate(x.shape))}] x{i}" if x.ndim else f"float x{i}"
                       for i, x in enumerate(operands))
    m = parse(f"agraph ({inputs}) => (float[{', '.join(f'o{j}' for j in range(len(shape)))}] y) "
              "{ a = Add(x0, x1) b = Mul(a, x2) c = Sub(b, x4) d = Max(c, x3) y = Neg(d) }")
    x = [operand.astype(np.float64) for operand in operands]
    y = run(m, tmp_path, **{f"x{i}": operand for i, operand in enumerate(operands)})[0]
    expected = -np.maximum((x[0] + x[1]) * x[2] - x[4], x[3])
    assert y.shape == expected.shape and relative_error(y, expected) < 1e-6


def test_casts_round_where_they_stand(tmp_path):
    """A cast to a narrow type is not undone by being computed together with the cast back."""
    m = parse("agraph (float[n] x) => (float[n] y, float[n] z) { a = Cast <to = 10> (x) y = Cast <to = 1> (a) b = Cast <to = 16> (x) z = Cast <to = 1> (b) }")
    x = uniform(-100, 100).astype(np.float32)
    y, z = run(m, tmp_path, x=x)
    assert np.array_equal(y, x.astype(np.float16).astype(np.float32))
    bits = x.view(np.uint32)
    assert np.array_equal(z.view(np.uint32), ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32))


def test_clip_of_old_and_new_operator_sets(tmp_path):
    x = np.array([-3, 0.5, 9, np.nan], np.float32)
    old = parse("agraph (float[n] x) => (float[n] y) { y = Clip <min = -1.0, max = 2.0> (x) }", opset=10)
    new = parse("agraph (float[n] x, float low, float high) => (float[n] y) { y = Clip(x, low, high) }", opset=13)
    expected = np.array([-1, 0.5, 2, np.nan], np.float32)
    np.testing.assert_array_equal(run(old, tmp_path, x=x)[0], expected)
    np.testing.assert_array_equal(run(new, tmp_path, x=x, low=np.float32(-1), high=np.float32(2))[0], expected)


@pytest.mark.parametrize("name, reference", [
    ("BiasGelu", lambda v: v * 0.5 * (1 + ERF(v / math.sqrt(2)))),
    ("FastGelu", lambda v: v * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))),
])
def test_activations_with_a_bias(name, reference, tmp_path):
    m = parse(f"agraph (float[n, 3] x, float[3] b) => (float[n, 3] y) {{ y = com.microsoft.{name}(x, b) }}")
    x, b = RNG.standard_normal((5, 3)).astype(np.float32), RNG.standard_normal(3).astype(np.float32)
    assert relative_error(run(m, tmp_path, x=x, b=b)[0], reference(x.astype(np.float64) + b)) < 2e-7


def test_dropout_keeps_everything(tmp_path):
    m = parse("agraph (float[n] x) => (float[n] y, bool[n] kept) { y, kept = Dropout(x) }")
    x = np.arange(5, dtype=np.float32)
    y, kept = run(m, tmp_path, x=x)
    assert np.array_equal(y, x) and kept.all()
    training = parse("agraph (float[n] x) => (float[n] y) { t = Constant <value = bool {1}> () r = Constant <value_float = 0.5> () y = Dropout(x, r, t) }")
    done = qcc(training, tmp_path, "-o", tmp_path / "out")
    assert done.returncode == 2 and "as in training" in done.stderr
