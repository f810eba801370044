"""Normalizations against NumPy in double precision: the last axes, images, groups, neighbours, sums before, offsets far from zero."""
import numpy as np
import pytest

from small_models import parse, relative_error, run

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def normalized(x, axes, epsilon, has_mean=True):
    x = x.astype(np.float64)
    mean = x.mean(axes, keepdims=True) if has_mean else 0
    inverse = 1 / np.sqrt(((x - mean)**2).mean(axes, keepdims=True) + epsilon)
    return (x - mean) * inverse, mean, inverse


@pytest.mark.parametrize("axis", (-1, 1, 0))
def test_layer_normalization_and_its_statistics(axis, tmp_path):
    m = parse(f"""agraph (float[a, b, c] x, float[c] s, float[b, c] t) => (float[a, b, c] y, float[p, q, r] mean, float[p, q, r] inverse) {{
                      y, mean, inverse = LayerNormalization <axis = {axis}, epsilon = 0.001> (x, s, t) }}""")
    x, s, t = normal(3, 5, 301), normal(301), normal(5, 301)
    expected, mean, inverse = normalized(x, tuple(range(axis % 3, 3)), 1e-3)
    for a, e in zip(run(m, tmp_path, x=x, s=s, t=t), (expected * s + t, mean, inverse)):
        assert a.shape == e.shape and relative_error(a, e) < 1e-6


@pytest.mark.parametrize("element, dtype, tolerance", (("float", np.float32, 1e-6), ("double", np.float64, 1e-14), ("float16", np.float16, 1e-3)))
def test_rms_normalization(element, dtype, tolerance, tmp_path):
    m = parse(f"agraph ({element}[a, c] x, {element}[c] s) => ({element}[a, c] y) {{ y = RMSNormalization <epsilon = 0.01> (x, s) }}")
    x, s = normal(4, 77).astype(dtype), normal(77).astype(dtype)
    assert relative_error(run(m, tmp_path, x=x, s=s)[0], normalized(x, -1, float(np.float32(0.01)), has_mean=False)[0] * s) < tolerance


def test_a_small_variance_beside_a_large_mean(tmp_path):
    m = parse("agraph (float[a, c] x, float[c] s) => (float[a, c] y) { y = LayerNormalization <epsilon = 0.0> (x, s) }")
    x = normal(3, 5000) + np.float32(4000)
    assert relative_error(run(m, tmp_path, x=x, s=np.ones(5000, np.float32))[0], normalized(x, -1, 0)[0]) < 1e-4


def test_a_computed_operand(tmp_path):
    m = parse("""agraph (float[2, 4, 40] x, float[2, 4, 40] z, float[40] s) => (float[2, 4, 40] y) {
                     sum = Add(x, z)  n = LayerNormalization <axis = -1> (sum, s)  y = Relu(n) }""")
    x, z, s = normal(2, 4, 40), normal(2, 4, 40), normal(40)
    assert relative_error(run(m, tmp_path, x=x, z=z, s=s)[0], np.maximum(normalized(x + z, -1, 1e-5)[0] * s, 0)) < 1e-6


@pytest.mark.parametrize("kind", ("Skip", "SkipSimplified"))
def test_sum_before(kind, tmp_path):
    has_mean = kind == "Skip"
    operands = "x, k, s, t, b" if has_mean else "x, k, s, b"
    m = parse(f"""agraph (float[2, 3, 50] x, float[3, 50] k, float[50] s, float[50] t, float[50] b) => (float[2, 3, 50] y, float[2, 3, 50] sum) {{
                      y, , , sum = com.microsoft.{kind}LayerNormalization <epsilon = 0.001> ({operands}) }}""")
    arrays = {"x": normal(2, 3, 50), "k": normal(3, 50), "s": normal(50), "t": normal(50), "b": normal(50)}
    y, sums = run(m, tmp_path, **arrays)
    expected = arrays["x"].astype(np.float64) + arrays["k"] + arrays["b"]
    assert relative_error(sums, expected) < 1e-6
    assert relative_error(y, normalized(expected, -1, 1e-3, has_mean)[0] * arrays["s"] + arrays["t"] * has_mean) < 1e-6


@pytest.mark.parametrize("groups", (None, 1, 2, 6))
def test_images(groups, tmp_path):
    node = "InstanceNormalization" if groups is None else f"GroupNormalization <num_groups = {groups}>"
    node = node.replace("Normalization", "Normalization <epsilon = 0.001>") if groups is None else node[:-1] + ", epsilon = 0.001>"
    m = parse(f"agraph (float[n, 6, h, w] x, float[6] s, float[6] t) => (float[n, 6, h, w] y) {{ y = {node} (x, s, t) }}")
    x, s, t = normal(2, 6, 9, 31), normal(6), normal(6)
    expected = normalized(x.reshape(2, groups or 6, -1), -1, 1e-3)[0].reshape(x.shape)
    assert relative_error(run(m, tmp_path, x=x, s=s, t=t)[0], expected * s.reshape(-1, 1, 1) + t.reshape(-1, 1, 1)) < 1e-6


def test_batch_statistics(tmp_path):
    m = parse("""agraph (float[n, 5, w] x, float[5] s, float[5] t, float[5] m, float[5] v) => (float[n, 5, w] y, float[5] mean, float[5] variance) {
                     y, mean, variance = BatchNormalization <training_mode = 1, momentum = 0.75, epsilon = 0.001> (x, s, t, m, v) }""")
    arrays = {"x": normal(4, 5, 33), "s": normal(5), "t": normal(5), "m": normal(5), "v": np.abs(normal(5))}
    y, mean, variance = run(m, tmp_path, **arrays)
    expected, own, _ = normalized(arrays["x"], (0, 2), 1e-3)
    assert relative_error(y, expected * arrays["s"].reshape(-1, 1) + arrays["t"].reshape(-1, 1)) < 1e-6
    assert relative_error(mean, 0.75 * arrays["m"] + 0.25 * own.reshape(-1)) < 1e-6
    assert relative_error(variance, 0.75 * arrays["v"] + 0.25 * arrays["x"].astype(np.float64).var((0, 2))) < 1e-6


@pytest.mark.parametrize("size, beta", ((5, 0.75), (4, 0.5), (1, 1.0), (3, 0.6)))
def test_neighbouring_channels(size, beta, tmp_path):
    m = parse(f"agraph (float[2, 7, 3, 20] x) => (float[2, 7, 3, 20] y) {{ y = LRN <size = {size}, alpha = 0.3, beta = {beta}, bias = 1.5> (x) }}")
    x = normal(2, 7, 3, 20)
    squares = x.astype(np.float64)**2
    sums = np.stack([squares[:, max(0, c - (size - 1) // 2):c + size // 2 + 1].sum(1) for c in range(7)], 1)
    assert relative_error(run(m, tmp_path, x=x)[0], x / (1.5 + 0.3 / size * sums)**beta) < 1e-6


@pytest.mark.parametrize("p", (1, 2))
@pytest.mark.parametrize("axis", (0, 1, -1))
def test_lines_of_length_one(p, axis, tmp_path):
    m = parse(f"agraph (float[a, b, c] x) => (float[a, b, c] y) {{ y = LpNormalization <p = {p}, axis = {axis}> (x) }}")
    x = normal(3, 4, 50)
    x[0] = x[:, 0] = 0
    norm = np.linalg.norm(x.astype(np.float64), p, axis, keepdims=True)
    assert relative_error(run(m, tmp_path, x=x)[0], x / np.where(norm == 0, 1, norm)) < 1e-6


def test_embeddings(tmp_path):
    m = parse("""agraph (int32[b, n] ids, int32[b, n] kinds, int32[b, n] mask, float[30, 24] words, float[9, 24] places, float[2, 24] segments, float[24] s,
                         float[24] t) => (float[b, n, 24] y, int32[b] count, float[b, n, 24] sum) {
                     y, count, sum = com.microsoft.EmbedLayerNormalization <epsilon = 0.001> (ids, kinds, words, places, segments, s, t, mask) }""")
    tables = {"words": normal(30, 24), "places": normal(9, 24), "segments": normal(2, 24), "s": normal(24), "t": normal(24)}
    numbers = {name: RNG.integers(0, limit, (3, 7)).astype(np.int32) for name, limit in (("ids", 30), ("kinds", 2), ("mask", 2))}
    y, count, sums = run(m, tmp_path, **tables, **numbers)
    expected = tables["words"][numbers["ids"]].astype(np.float64) + tables["places"][:7] + tables["segments"][numbers["kinds"]]
    assert np.array_equal(count, numbers["mask"].sum(1)) and relative_error(sums, expected) < 1e-6
    assert relative_error(y, normalized(expected, -1, 1e-3)[0] * tables["s"] + tables["t"]) < 1e-6
    numbers["ids"][1, 2] = 30
    with pytest.raises(AssertionError, match="y"):
        run(m, tmp_path, **tables, **numbers)
