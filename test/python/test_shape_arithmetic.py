"""Computations on shapes vanish at compile time: what they say is an expression of the inputs' dimensions."""
import numpy as np
import pytest

from small_models import canonical, parse, qcc, run

HEAD = """agraph (float[n, 4, m] x) => (float[p, q] y) {
    zero = Constant <value_ints = [0]> () one = Constant <value_ints = [1]> () two = Constant <value_ints = [2]> () three = Constant <value_ints = [3]> ()
    minus = Constant <value_ints = [-1]> () ftwo = Constant <value_float = 2.0> () fhalf = Constant <value_float = 0.5> ()
    s = Shape(x) n = Gather(s, zero) c = Gather(s, one) m = Gather(s, two) """

# What the graph computes as the rows of a reshape to (rows, -1), and the same in Python.
ROWS = {
    "a product": ("r = Mul(n, c)", lambda n, m: 4 * n),
    "a quotient": ("a = Mul(n, m) b = Mul(a, c) r = Div(b, m)", lambda n, m: 4 * n),
    "a sum": ("a = Add(n, n) b = Add(a, n) r = Sub(b, n)", lambda n, m: 2 * n),
    "through floats": ("a = Mul(n, c) b = Cast <to = 1> (a) d = Mul(b, fhalf) e = Floor(d) r = Cast <to = 7> (e)", lambda n, m: 2 * n),
    "rounded down": ("a = Cast <to = 1> (n) b = Div(a, ftwo) d = Floor(b) e = Cast <to = 7> (d) f = Mul(e, zero) r = Add(f, n)", lambda n, m: n),
    "rounded up": ("a = Cast <to = 1> (n) b = Mul(a, fhalf) d = Ceil(b) e = Cast <to = 7> (d) r = Mul(e, two)", lambda n, m: n + n % 2),
    "a minimum": ("a = Neg(n) b = Min(a, n) r = Abs(b)", lambda n, m: n),
    "a maximum": ("r = Max(n, zero)", lambda n, m: n),
    "a remainder": ("a = Mul(n, two) b = Mod(a, two) d = Add(n, b) r = Cast <to = 7> (d)", lambda n, m: n),
    "chosen": ("a = Equal(n, minus) r = Where(a, c, n)", lambda n, m: n),
    "chosen by order": ("a = Less(n, zero) b = Not(a) d = And(b, b) r = Where(d, n, c)", lambda n, m: n),
    "of 32 bits": ("a = Cast <to = 6> (n) b = Cast <to = 7> (a) r = Mul(b, c)", lambda n, m: 4 * n),
    "reduced": ("a = Concat <axis = 0> (n, c) r = ReduceProd <keepdims = 1> (a)", lambda n, m: 4 * n),
    "a power": ("r = Pow(two, two)", lambda n, m: 4),
    "clipped": ("a = Squeeze(c) b = Squeeze(zero) d = Squeeze(three) e = Clip(a, b, d) f = Sub(e, d) g = Reshape(f, one) r = Add(n, g)", lambda n, m: n),
}


def model(rows):
    return parse(f"{HEAD} {rows} shape = Concat <axis = 0> (r, minus) y = Reshape(x, shape) }}")


@pytest.mark.parametrize("name", ROWS)
def test_shape_arithmetic_vanishes(name, tmp_path):
    rows, expected = ROWS[name]
    m = model(rows)
    assert canonical(m, tmp_path)[0] == ["Reshape"]
    x = np.arange(6 * 4 * 8, dtype=np.float32).reshape(6, 4, 8)
    assert np.array_equal(run(m, tmp_path, x=x)[0], x.reshape(expected(6, 8), -1))


def test_expand_to_a_shape_with_wildcards(tmp_path):
    """torch.expand: -1 stands for the length that is there."""
    m = parse("""agraph (float[n, 1] x, float[k, m] like) => (float[p, q] y) {
        minus = Constant <value_ints = [-1]> () s = Shape <start = 1> (like) wanted = Concat <axis = 0> (minus, s)
        ones = Constant <value_ints = [1, 1]> () all = Mul(ones, minus) is = Equal(wanted, all) shape = Where(is, ones, wanted) y = Expand(x, shape) }""")
    assert canonical(m, tmp_path)[0] == ["Expand"]
    x = np.arange(3, dtype=np.float32).reshape(3, 1)
    assert np.array_equal(run(m, tmp_path, x=x, like=np.zeros((2, 5), np.float32))[0], np.repeat(x, 5, 1))


def test_lengths_that_do_not_fit_are_an_error(tmp_path):
    done = qcc(parse("agraph (float[3] x, float[4] z) => (float[n] y) { y = Add(x, z) }"), tmp_path, "-o", tmp_path / "out")
    assert done.returncode == 2 and "lengths 4 and 3 do not fit each other" in done.stderr


def test_lengths_that_turn_out_not_to_fit_are_an_error(tmp_path):
    m = parse("agraph (float[n] x, float[k] z) => (float[m] y) { y = Add(x, z) }")
    x = np.ones(3, np.float32)
    assert np.array_equal(run(m, tmp_path, x=x, z=x[:1])[0], x + 1)
    with pytest.raises(AssertionError, match="'y'"):
        run(m, tmp_path, x=x, z=np.ones(4, np.float32))


@pytest.mark.parametrize("body, message", [
    ("y = Sin(i)", "has an input 0 of i64"),
    ("y = Add(x, i)", "which must be the same"),
    ("y = Where(x, x, x)", "has an input 0 of f32"),
    ("y = Mod(x, x)", "of floats needs fmod = 1"),
    ("y = BitShift <direction = \"UP\"> (i, i)", "has an input 0 of i64"),
    ("y = Cast <to = 8> (x)", "casts to element type 8"),
])
def test_wrong_operands_are_an_error(body, message, tmp_path):
    done = qcc(parse(f"agraph (float[n] x, int64[n] i) => (float[n] y) {{ {body} }}"), tmp_path, "-o", tmp_path / "out")
    assert done.returncode == 2 and message in done.stderr
