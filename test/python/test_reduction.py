"""Reductions against NumPy in double precision: all sets of axes, long sums, operands that are computed in place, empty sets."""
import itertools

import numpy as np
import pytest

from small_models import parse, qcc, relative_error, run

RNG = np.random.default_rng(0)
REDUCTIONS = {
    "ReduceSum": lambda x, a: x.sum(a),
    "ReduceMean": lambda x, a: x.mean(a),
    "ReduceMax": lambda x, a: x.max(a),
    "ReduceMin": lambda x, a: x.min(a),
    "ReduceProd": lambda x, a: x.prod(a),
    "ReduceL1": lambda x, a: np.abs(x).sum(a),
    "ReduceL2": lambda x, a: np.sqrt((x * x).sum(a)),
    "ReduceSumSquare": lambda x, a: (x * x).sum(a),
    "ReduceLogSum": lambda x, a: np.log(x.sum(a)),
    "ReduceLogSumExp": lambda x, a: np.log(np.exp(x).sum(a)),
}


def ints(values):
    return "{" + ", ".join(map(str, values)) + "}"


def all_reductions(axes, keepdims, element="float", rank=4):
    dims = ", ".join(f"d{i}" for i in range(rank))
    out = ", ".join(f"o{i}" for i in range(rank if keepdims else rank - len(axes)))
    body = " ".join(f"{name} = {name} <keepdims = {keepdims}> (x, axes)" for name in REDUCTIONS)
    outputs = ", ".join(f"{element}[{out}] {name}" if out else f"{element} {name}" for name in REDUCTIONS)
    return parse(f"agraph ({element}[{dims}] x) => ({outputs}) <int64[{len(axes)}] axes = {ints(axes)}> {{ {body} }}")


@pytest.mark.parametrize("axes", [axes for count in (1, 2, 3, 4) for axes in itertools.combinations(range(4), count)])
def test_every_set_of_axes(axes, tmp_path):
    x = RNG.uniform(0.9, 1.1, (3, 4, 5, 37)).astype(np.float32)
    keep = len(axes) % 2
    for name, y in zip(REDUCTIONS, run(all_reductions(axes, keep), tmp_path, x=x)):
        expected = REDUCTIONS[name](x.astype(np.float64), axes)
        assert y.shape == (np.sum(x, axes, keepdims=bool(keep)).shape), name
        assert relative_error(y.reshape(expected.shape), expected) < 1e-6, name


@pytest.mark.parametrize("element, dtype, tolerance", [("double", np.float64, 1e-14), ("float16", np.float16, 1e-3)])
def test_other_floats(element, dtype, tolerance, tmp_path):
    x = RNG.uniform(0.9, 1.1, (2, 3, 4, 5)).astype(dtype)
    for name, y in zip(REDUCTIONS, run(all_reductions((1, 3), 0, element), tmp_path, x=x)):
        assert relative_error(y, REDUCTIONS[name](x.astype(np.float64), (1, 3))) < tolerance, name


def test_integers(tmp_path):
    names = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"]
    body = " ".join(f"{name} = {name} <keepdims = 0> (x, axes)" for name in names)
    m = parse(f"agraph (int32[a, b] x) => ({', '.join(f'int32[a] {name}' for name in names)}) <int64[1] axes = {{1}}> {{ {body} }}")
    x = RNG.integers(-9, 9, (4, 6)).astype(np.int32)
    y = dict(zip(names, run(m, tmp_path, x=x)))
    assert np.array_equal(y["ReduceSum"], x.sum(1)) and np.array_equal(y["ReduceMean"], np.trunc(x.mean(1)))
    assert np.array_equal(y["ReduceMax"], x.max(1)) and np.array_equal(y["ReduceMin"], x.min(1))
    assert np.array_equal(y["ReduceProd"], x.prod(1)) and np.array_equal(y["ReduceL1"], np.abs(x).sum(1))


@pytest.mark.parametrize("axis", [0, 1])
def test_long_sums_are_accurate(axis, tmp_path):
    m = parse(f"agraph (float[a, b] x) => (float[c] y, float[c] z) <int64[1] axes = {{{axis}}}> {{ y = ReduceSum <keepdims = 0> (x, axes) z = ReduceMean <keepdims = 0> (x, axes) }}")
    x = RNG.random((2, 400_001) if axis else (400_001, 2)).astype(np.float32)
    y, z = run(m, tmp_path, x=x)
    assert relative_error(y, x.astype(np.float64).sum(axis)) < 1e-7
    assert relative_error(z, x.astype(np.float64).mean(axis)) < 1e-7


def test_infinities_and_nan(tmp_path):
    m = parse("agraph (float[a, b] x) => (float[a] m, float[a] e, int64[a] i) <int64[1] axes = {1}> "
              "{ m = ReduceMax <keepdims = 0> (x, axes) e = ReduceLogSumExp <keepdims = 0> (x, axes) i = ArgMax <axis = 1, keepdims = 0> (x) }")
    x = np.array([[1, np.nan, 2], [-np.inf] * 3, [np.inf, 0, 1], [1000, 1000, -1000]], np.float32)
    largest, sums, position = run(m, tmp_path, x=x)
    np.testing.assert_array_equal(largest, [np.nan, -np.inf, np.inf, 1000])
    np.testing.assert_allclose(sums, [np.nan, -np.inf, np.inf, 1000 + np.log(2)], rtol=1e-6)
    assert position.tolist() == [1, 0, 0, 0]


def test_axes_as_attribute(tmp_path):
    m = parse("agraph (float[a, b] x) => (float[b] y) { y = ReduceMean <axes = [-2], keepdims = 0> (x) }", opset=13)
    x = RNG.random((4, 6)).astype(np.float32)
    assert relative_error(run(m, tmp_path, x=x)[0], x.mean(0)) < 1e-6


def test_axes_that_arrive_with_the_data(tmp_path):
    m = parse("agraph (float[a, b, c] x, int64[2] axes) => (float[d] y) { y = ReduceSum <keepdims = 0> (x, axes) }")
    x = RNG.random((3, 4, 5)).astype(np.float32)
    for axes in ((0, 1), (0, 2), (1, 2), (-1, 0), (2, -2)):
        assert relative_error(run(m, tmp_path, x=x, axes=np.array(axes))[0], x.astype(np.float64).sum(axes)) < 1e-6
    for wrong in ((0, 3), (0, 0), (-4, 1)):
        with pytest.raises(AssertionError, match="'y'"):
            run(m, tmp_path, x=x, axes=np.array(wrong))


def test_axes_of_any_number(tmp_path):
    for noop in (0, 1):
        m = parse(f"agraph (float[a, b, c] x, int64[n] axes) => (float[d, e, f] y) {{ y = ReduceSum <noop_with_empty_axes = {noop}> (x, axes) }}")
        x = RNG.random((3, 4, 5)).astype(np.float32)
        for axes in ((), (1,), (0, -1), (0, 1, 2)):
            expected = x if noop and not axes else x.sum(axes or None, keepdims=True)
            assert relative_error(run(m, tmp_path, x=x, axes=np.array(axes, np.int64))[0], expected) < 1e-6
    m = parse("agraph (float[a, b, c] x, int64[n] axes) => (float[d] y) { y = ReduceSum <keepdims = 0> (x, axes) }")
    done = qcc(m, tmp_path, "-o", tmp_path / "out")
    assert done.returncode == 2 and "number of elements of its operand 'axes'" in done.stderr


@pytest.mark.parametrize("axes", [(2,), (1,), (0, 2), (0, 1)])
def test_operands_computed_in_place(axes, tmp_path):
    m = parse(f"agraph (float[a, b, c] x, float[b, 1] z) => (float[o0, o1, o2] y) <int64[{len(axes)}] axes = {ints(axes)}> "
              "{ s = Add(x, z) e = Exp(s) r = ReduceSum(e, axes) y = Sqrt(r) }")
    x, z = RNG.standard_normal((3, 4, 50)).astype(np.float32), RNG.standard_normal((4, 1)).astype(np.float32)
    expected = np.sqrt(np.exp(x.astype(np.float64) + z).sum(axes, keepdims=True))
    assert relative_error(run(m, tmp_path, x=x, z=z)[0], expected) < 3e-7


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@pytest.mark.parametrize("axis", range(4))
def test_softmax(axis, tmp_path):
    x = (RNG.standard_normal((2, 3, 5, 33)) * 5).astype(np.float32)
    mask = RNG.standard_normal((3, 1, 33)).astype(np.float32)
    m = parse(f"""agraph (float[a, b, c, d] x, float[b, 1, d] m) => (float[a, b, c, d] y, float[a, b, c, d] z, float[a, b, c, d] w, float[a, b, c, d] v) {{
        y = Softmax <axis = {axis}> (x) z = LogSoftmax <axis = {axis}> (x) s = Add(x, m) w = Softmax <axis = {axis}> (s)
        t = Mul(x, m) v = LogSoftmax <axis = {axis}> (t) }}""")
    wide = x.astype(np.float64)
    y, z, w, v = run(m, tmp_path, x=x, m=mask)
    for actual, expected in ((y, softmax(wide, axis)), (z, np.log(softmax(wide, axis))), (w, softmax(wide + mask, axis)),
                             (v, np.log(softmax(wide * mask.astype(np.float64), axis)))):
        assert relative_error(actual, expected) < 3e-7


@pytest.mark.parametrize("axis", range(3))
def test_softmax_of_old_operator_sets_flattens(axis, tmp_path):
    m = parse(f"agraph (float[a, b, c] x, float[c] m) => (float[a, b, c] y, float[a, b, c] h) {{ s = Add(x, m) y = Softmax <axis = {axis}> (s) h = Hardmax <axis = {axis}> (x) }}",
              opset=11)
    x, mask = RNG.standard_normal((4, 3, 5)).astype(np.float32), RNG.standard_normal(5).astype(np.float32)
    rows = (x.astype(np.float64) + mask).reshape(int(np.prod(x.shape[:axis])), -1)
    y, hard = run(m, tmp_path, x=x, m=mask)
    assert relative_error(y, softmax(rows, 1).reshape(x.shape)) < 3e-7
    flat = x.reshape(rows.shape)
    assert np.array_equal(hard.reshape(rows.shape), flat == flat.max(1, keepdims=True))


def test_softmax_in_half_precision(tmp_path):
    m = parse("agraph (float16[a, b] x) => (float16[a, b] y, float16[a, b] z) { y = Softmax(x) z = Softmax <axis = 0> (x) }")
    x = RNG.standard_normal((7, 65)).astype(np.float16)
    for axis, y in zip((1, 0), run(m, tmp_path, x=x)):
        assert relative_error(y, softmax(x.astype(np.float64), axis)) < 5e-4


@pytest.mark.parametrize("axis", range(3))
def test_positions_of_extrema(axis, tmp_path):
    m = parse(f"""agraph (int32[a, b, c] x) => (int64[d, e] first, int64[d, e] last, int64[f, g, h] least) {{
        first = ArgMax <axis = {axis}, keepdims = 0> (x) last = ArgMax <axis = {axis}, keepdims = 0, select_last_index = 1> (x)
        least = ArgMin <axis = {axis}> (x) }}""")
    x = RNG.integers(0, 4, (5, 6, 7)).astype(np.int32)
    first, last, least = run(m, tmp_path, x=x)
    assert np.array_equal(first, x.argmax(axis))
    assert np.array_equal(last, x.shape[axis] - 1 - np.flip(x, axis).argmax(axis))
    assert np.array_equal(least, np.expand_dims(x.argmin(axis), axis))
    with pytest.raises(AssertionError, match="'(first|last|least)'"):  # nothing to choose from
        run(m, tmp_path, x=x[tuple(slice(0, 0 if i == axis else None) for i in range(3))])


@pytest.mark.parametrize("exclusive, reverse", list(itertools.product((0, 1), (0, 1))))
def test_running_sums(exclusive, reverse, tmp_path):
    m = parse(f"agraph (float[a, b, c] x, int64 axis) => (float[a, b, c] y, float[a, b, c] z) <int64 one = {{-2}}> "
              f"{{ y = CumSum <exclusive = {exclusive}, reverse = {reverse}> (x, axis) z = CumSum <exclusive = {exclusive}, reverse = {reverse}> (x, one) }}", opset=14)
    x = RNG.random((3, 4, 5)).astype(np.float32)
    for axis in (-3, -2, -1, 0, 1, 2):
        def expected(axis):
            turned = np.flip(x, axis) if reverse else x
            sums = np.cumsum(turned.astype(np.float64), axis) - (turned if exclusive else 0)
            return np.flip(sums, axis) if reverse else sums
        y, z = run(m, tmp_path, x=x, axis=np.int64(axis))
        assert relative_error(y, expected(axis)) < 3e-7 and relative_error(z, expected(1)) < 3e-7
    with pytest.raises(AssertionError, match="'y'"):
        run(m, tmp_path, x=x, axis=np.int64(3))


@pytest.mark.parametrize("axis, largest", list(itertools.product((0, 1, 2), (0, 1))))
def test_topk(axis, largest, tmp_path):
    m = parse(f"agraph (float[a, b, c] x, int64[1] k) => (float[d, e, f] v, int64[d, e, f] i) {{ v, i = TopK <axis = {axis}, largest = {largest}> (x, k) }}")
    x = RNG.integers(0, 20, (3, 70, 4)).astype(np.float32)
    order = np.argsort(-x if largest else x, axis, kind="stable")
    for k in (0, 1, x.shape[axis] // 2, x.shape[axis]):
        v, i = run(m, tmp_path, x=x, k=np.array([k]))
        assert np.array_equal(i, order.take(range(k), axis)) and np.array_equal(v, np.take_along_axis(x, i, axis))
    for wrong in (-1, x.shape[axis] + 1):
        with pytest.raises(AssertionError, match="'v'"):
            run(m, tmp_path, x=x, k=np.array([wrong]))


def test_topk_orders_nan_above_all_numbers(tmp_path):
    m = parse("agraph (float[n] x) => (float[k] v, int64[k] i) { three = Constant <value_ints = [3]> () v, i = TopK(x, three) }")
    v, i = run(m, tmp_path, x=np.array([1, np.nan, 3, np.inf], np.float32))
    assert i.tolist() == [1, 3, 2]


@pytest.mark.parametrize("reduction, weighted, ignore", list(itertools.product(("none", "sum", "mean"), (False, True), (False, True))))
def test_cross_entropy(reduction, weighted, ignore, tmp_path):
    attributes = f'reduction = "{reduction}"' + (", ignore_index = -1" if ignore else "")
    out = "float[n, d] y" if reduction == "none" else "float y"
    m = parse(f"agraph (float[n, 5, d] x, int64[n, d] t, float[5] w) => ({out}, float[n, 5, d] p) "
              f"{{ y, p = SoftmaxCrossEntropyLoss <{attributes}> (x, t{', w' if weighted else ''}) }}", opset=13)
    x, w = RNG.standard_normal((3, 5, 4)).astype(np.float32), RNG.random(5).astype(np.float32)
    t = RNG.integers(-1 if ignore else 0, 5, (3, 4))
    y, p = run(m, tmp_path, x=x, t=t, w=w)
    logarithms = np.log(softmax(x.astype(np.float64), 1))
    weights = np.where(t < 0, 0, w[t] if weighted else 1)
    losses = -np.take_along_axis(logarithms, np.maximum(t, 0)[:, None], 1)[:, 0] * weights
    expected = {"none": losses, "sum": losses.sum(), "mean": losses.sum() / (weights.sum() if weighted or ignore else losses.size)}[reduction]
    assert relative_error(y, expected) < 1e-6 and relative_error(p, logarithms) < 1e-6
    with pytest.raises(AssertionError, match="'y'"):
        run(m, tmp_path, x=x, t=np.full((3, 4), 5), w=w)
