"""Kernels for GPUs, run by the emulator, against the CPU's: attention, rows, reductions, contractions, convolutions, recurrences."""
import numpy as np
import pytest

from small_models import BUILD, parse, relative_error, run

pytestmark = pytest.mark.skipif(not (BUILD / "lib/libqcc-emulated-cuda.so").exists(), reason="the emulated driver is not built")
RNG = np.random.default_rng(3)


def normal(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def compare(model, folder, tolerance=1e-6, target="sm_80", **inputs):
    expected = run(model, folder / "cpu", **inputs)
    for here, there in zip(run(model, folder / "gpu", f"--target={target}", **inputs), expected):
        assert here.shape == there.shape and here.dtype == there.dtype
        if here.dtype.kind == "f":
            assert relative_error(here, there) < tolerance
        else:
            assert np.array_equal(here, there)


def known(graph, **lengths):
    """The model with lengths in the place of the graph's symbols, which the tiled kernels ask for."""
    for name, length in lengths.items():
        for text in (f"[{name},", f", {name},", f", {name}]", f"[{name}]"):
            graph = graph.replace(text, text.replace(name, str(length)))
    return parse(graph)


# heads, heads of keys, queries, keys, elements of a key and of a value
@pytest.mark.parametrize("h, g, s, t, d, e", [(4, 2, 70, 70, 16, 16), (8, 2, 1, 700, 64, 64), (6, 2, 3, 40, 72, 40), (2, 2, 65, 33, 128, 128),
                                              (3, 1, 5, 300, 256, 256), (2, 1, 20, 9, 5, 3)])
@pytest.mark.parametrize("attributes", ["", "is_causal = 1, softcap = 2.0"])
def test_attention(h, g, s, t, d, e, attributes, tmp_path):
    graph = (f"agraph (float[b, {h}, s, {d}] q, float[b, {g}, t, {d}] k, float[b, {g}, t, {e}] v) => (float[b, {h}, s, {e}] y) "
             f"{{ y = Attention <{attributes}> (q, k, v) }}").replace("<>", "")
    compare(parse(graph), tmp_path, q=normal(2, h, s, d), k=normal(2, g, t, d), v=normal(2, g, t, e))


@pytest.mark.parametrize("target", ["sm_75", "sm_90a", "sm_120a"])
def test_attention_with_a_mask(target, tmp_path):
    graph = ("agraph (float[b, 4, s, 64] q, float[b, 4, t, 64] k, float[b, 4, t, 64] v, float[s, t] mask) => (float[b, 4, s, 64] y) "
             "{ y = Attention (q, k, v, mask) }")
    mask = np.where(RNG.random((37, 90)) < 0.3, -np.inf, normal(37, 90)).astype(np.float32)
    compare(parse(graph), tmp_path, target=target, q=normal(1, 4, 37, 64), k=normal(1, 4, 90, 64), v=normal(1, 4, 90, 64), mask=mask)


# Also sizes that are no multiple of a tile, keys in chunks, and rows of 256 elements, for which sm_75 has not the shared memory.
@pytest.mark.parametrize("h, g, s, t, d, e", [(4, 2, 70, 70, 16, 16), (6, 2, 33, 40, 72, 40), (2, 2, 65, 133, 128, 128), (3, 1, 25, 300, 256, 256), (2, 1, 20, 9, 5, 3)])
@pytest.mark.parametrize("target", ["sm_75", "sm_80", "sm_90a"])
def test_attention_on_matrix_units(h, g, s, t, d, e, target, tmp_path):
    graph = (f"agraph (float16[b, {h}, s, {d}] q, float16[b, {g}, t, {d}] k, float16[b, {g}, t, {e}] v, float16[s, t] mask) => (float16[b, {h}, s, {e}] y) "
             "{ y = Attention <is_causal = 1, softcap = 2.0> (q, k, v, mask) }")
    mask = np.where(RNG.random((s, t)) < 0.3, -np.inf, normal(s, t)).astype(np.float16)
    half = lambda *shape: normal(*shape, dtype=np.float16)
    compare(parse(graph), tmp_path, 1e-3, target, q=half(2, h, s, d), k=half(2, g, t, d), v=half(2, g, t, e), mask=mask)


ROWS = """agraph (float[a, b, c] x, float[c] w) => (float[a, b, c] rows, float[a, b, c] columns, float[a, b, c] logs, float[a, b, c] norm,
    float[a, b, c] rms, float[a, b, c] lp, int64[a, b, 1] best, float[a, b, c] sums) {
    rows = Softmax <axis = 2> (x) columns = Softmax <axis = 1> (x) logs = LogSoftmax (x) norm = LayerNormalization (x, w, w)
    rms = RMSNormalization (x, w) lp = LpNormalization (x) best = ArgMax <axis = 2> (x) axis = Constant <value_int = 1> () sums = CumSum (x, axis) }"""


@pytest.mark.parametrize("c", [7, 40, 1000, 3000])
def test_rows(c, tmp_path):
    inputs = {"x": normal(2, 5, c), "w": normal(c)}
    for name, model in (("symbolic", parse(ROWS)), ("known", known(ROWS, c=c))):
        (tmp_path / name).mkdir()
        compare(model, tmp_path / name, **inputs)


@pytest.mark.parametrize("axes", [(0,), (2,), (0, 2), (1, 2), (0, 1, 2)])
def test_reductions(axes, tmp_path):
    names = ["ReduceSum", "ReduceMax", "ReduceProd", "ReduceLogSumExp", "ReduceL2", "ReduceMean"]
    body = " ".join(f"{name} = {name} (x, axes)" for name in names)
    outputs = ", ".join(f"float[i, j, k] {name}" for name in names)
    model = parse(f"agraph (float[a, b, c] x) => ({outputs}) <int64[{len(axes)}] axes = {{{', '.join(map(str, axes))}}}> {{ {body} }}")
    # A product of thousands of factors is rounded as often.
    compare(model, tmp_path, 1e-5, x=RNG.uniform(0.9, 1.1, (3, 70, 130)).astype(np.float32))


@pytest.mark.parametrize("element, dtype", [("float", np.float32), ("double", np.float64), ("int32", np.int32), ("float16", np.float16)])
@pytest.mark.parametrize("m, n, k", [(1, 70, 33), (65, 130, 16), (5, 3, 100)])
def test_products(element, dtype, m, n, k, tmp_path):
    for name, dims in (("symbolic", ("m", "n", "k")), ("known", (m, n, k))):
        (tmp_path / name).mkdir()
        rows, columns, depth = dims
        model = parse(f"agraph ({element}[2, {rows}, {depth}] x, {element}[2, {depth}, {columns}] y) => ({element}[2, {rows}, {columns}] z) {{ z = MatMul (x, y) }}")
        make = (lambda *shape: RNG.integers(-9, 9, shape).astype(dtype)) if dtype == np.int32 else (lambda *shape: normal(*shape, dtype=dtype))
        compare(model, tmp_path / name, 1e-3 if dtype == np.float16 else 1e-6, x=make(2, m, k), y=make(2, k, n))


CONVOLUTIONS = {
    "strides = [2, 1], pads = [1, 2, 0, 1], dilations = [1, 2]": (8, 16, 3, 3),
    "group = 4": (8, 4, 3, 3),
    "group = 16, pads = [1, 1, 1, 1]": (16, 1, 3, 3),
    "pads = [1, 1, 1, 1]": (24, 16, 3, 3),
}


@pytest.mark.parametrize("attributes", CONVOLUTIONS)
def test_convolutions(attributes, tmp_path):
    shape = CONVOLUTIONS[attributes]
    w = ", ".join(map(str, normal(*shape).ravel()))
    weights = f"float[{', '.join(map(str, shape))}] w = {{{w}}}"
    model = parse(f"agraph (float[2, 16, 19, 20] x, float[{shape[0]}] b) => (float[n, c, h, i] y) <{weights}> {{ y = Conv <{attributes}> (x, w, b) }}")
    compare(model, tmp_path, x=normal(2, 16, 19, 20), b=normal(shape[0]))


def test_windows(tmp_path):
    compare(parse("""agraph (float[2, 6, 15, 14] x, float[6, 4, 3, 3] w) => (float[n, c, h, i] most, float[n, c, j, k] mean, float[n, d, l, m] back, float[n, c, o, p] all) {
        most = MaxPool <kernel_shape = [3, 2], strides = [2, 1], pads = [1, 0, 1, 1]> (x)
        mean = AveragePool <kernel_shape = [2, 3], pads = [1, 1, 0, 1]> (x)
        back = ConvTranspose <strides = [2, 3], pads = [1, 0, 1, 2], dilations = [1, 2]> (x, w) all = GlobalAveragePool (x) }"""),
            tmp_path, x=normal(2, 6, 15, 14), w=normal(6, 4, 3, 3))


def test_recurrence(tmp_path):
    model = parse("agraph (float[s, 3, 5] x, float[2, 84, 5] w, float[2, 84, 21] r, float[2, 168] b) => (float[s, 2, 3, 21] y, float[2, 3, 21] h, float[2, 3, 21] c) "
                  "{ y, h, c = LSTM <hidden_size = 21, direction = \"bidirectional\"> (x, w, r, b) }")
    compare(model, tmp_path, x=normal(6, 3, 5), w=normal(2, 84, 5), r=normal(2, 84, 21), b=normal(2, 168))


def test_functions_of_doubles(tmp_path):
    names = ["Exp", "Sin", "Cos", "Tan", "Tanh", "Sinh", "Cosh", "Asinh", "Atan", "Erf"]
    body = " ".join(f"{name} = {name} (x)" for name in names)
    outputs = ", ".join(f"double[n] {name}" for name in names)
    model = parse(f"agraph (double[n] x, double[n] y) => ({outputs}, double[n] log, double[n] power) {{ {body} z = Abs (x) log = Log (z) power = Pow (x, y) }}")
    x = np.concatenate([RNG.uniform(-30, 30, 500), RNG.uniform(-1, 1, 500), np.arange(1.0, 42)])
    y = np.concatenate([RNG.integers(-9, 9, 1000), np.full(41, 3)]).astype(np.float64)
    compare(model, tmp_path, 1e-14, x=x, y=y)
