"""Activations in the blocks of a number format: their rounding against ml_dtypes, and the matrix instructions that take scales against the processor."""
import ml_dtypes
import numpy as np
import pytest

from test_gpus import check_story, run_linear, save_linear

# Formats of weights and compute types that Blackwell multiplies as they are.
PAIRS = [("nvfp4", "nvfp4"), ("mxfp4", "mxfp4"), ("mxfp8", "mxfp8"), ("mxfp4", "mxfp8")]
ELEMENTS = {"nvfp4": (16, ml_dtypes.float4_e2m1fn), "mxfp4": (32, ml_dtypes.float4_e2m1fn), "mxfp8": (32, ml_dtypes.float8_e4m3fn)}


def power_of_two(exponents):
    return np.ldexp(np.float32(1), exponents)


def rounded(x, act):
    """Each token's numbers in the format: scales are made of the token alone."""
    block, element = ELEMENTS[act]
    largest = np.float32(ml_dtypes.finfo(element).max)
    result = np.zeros_like(x)
    for token, row in enumerate(x):
        unit = np.float32(1)
        if act == "nvfp4":
            mantissa, exponent = np.frexp(np.abs(row).max() / np.float32(largest * 448))
            unit = power_of_two(np.maximum(exponent - (mantissa == 0.5), -126))
        for first in range(0, row.size, block):
            values = row[first:first + block]
            most = np.abs(values).max()
            if act == "nvfp4":
                code = (most / largest / unit).astype(ml_dtypes.float8_e4m3fn)
                scale = np.maximum(code.astype(np.float32), np.float32(2.0 ** -9) if most > 0 else 0) * unit
            else:
                scale = power_of_two(max(np.frexp(most)[1] - 1 - int(np.log2(largest)), -127) if most > 0 else -127)
            quotients = np.clip(values / scale, -largest, largest) if scale > 0 else np.zeros_like(values)
            result[token, first:first + block] = quotients.astype(element).astype(np.float32) * scale
    return result


@pytest.mark.parametrize("target", ("x86-64-v2", "sm_75", "sm_80", "sm_120a"))
@pytest.mark.parametrize("act", ELEMENTS)
def test_rounding_is_that_of_the_format(act, target, program, tmp_path):
    """Seen through a matrix of ones on the diagonal."""
    depth = 76
    save_linear(tmp_path / "linear.onnx", np.eye(depth, dtype=np.float32))
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((9, depth)) * 2.0 ** rng.integers(-20, 20, (9, depth))).astype(np.float32)
    x[0] = rng.standard_normal(depth)
    x[1] = 0
    x[2, :40] = 0
    x[3] = np.linspace(-6, 6, depth)
    x[4] = rng.integers(-12, 13, depth) / 4  # ties
    x[5, 3] = 3e38
    for part in (x[:2], x):
        assert np.array_equal(run_linear(program, tmp_path, target, "float32", act, [part])[0], rounded(part, act).astype(np.float64))


@pytest.mark.parametrize("target", ("x86-64-v2", "sm_80", "sm_120a"))
@pytest.mark.parametrize("act", ELEMENTS)
def test_what_is_no_number_makes_its_block_none(act, target, program, tmp_path):
    save_linear(tmp_path / "linear.onnx", np.eye(64, dtype=np.float32)[:, :48])
    for bad in (np.inf, -np.inf, np.nan):
        x = np.full((2, 64), 6, np.float32)
        x[1, 5] = bad
        y = run_linear(program, tmp_path, target, "float32", act, [x])[0]
        assert np.array_equal(y[0], np.full(48, 6)) and np.isnan(y[1, 5])


@pytest.mark.parametrize("target", ("sm_80", "sm_100a", "sm_103a", "sm_120a"))
@pytest.mark.parametrize("fmt,act", PAIRS)
def test_shapes_agree_with_the_processor(fmt, act, target, program, tmp_path):
    rng = np.random.default_rng(9)
    for depth, outputs, counts in ((576, 192, (7, 64)), (172, 72, (1, 7, 16, 64, 200)), (1536, 200, (130,))):
        save_linear(tmp_path / "linear.onnx", rng.standard_normal((depth, outputs), dtype=np.float32))
        inputs = [rng.standard_normal((tokens, depth), dtype=np.float32) for tokens in counts]
        ours = run_linear(program, tmp_path, target, fmt, act, inputs, seed=depth)
        reference = run_linear(program, tmp_path, "x86-64-v2", fmt, act, inputs)
        for y, wanted in zip(ours, reference):
            assert np.linalg.norm(y - wanted) <= 1e-6 * np.linalg.norm(wanted)


@pytest.mark.parametrize("target", ("sm_100a", "sm_120a"))
@pytest.mark.parametrize("fmt,act", [pair for pair in PAIRS if "nvfp4" not in pair])  # whose weights have a scale that is no power of two
def test_small_integers_are_exact(fmt, act, target, program, tmp_path):
    rng = np.random.default_rng(13)
    weights = rng.choice(np.float32([-6, -4, -2, 0, 2, 4, 6]), (176, 136))
    x = rng.choice(np.float32([-6, -4, -2, 0, 2, 4, 6]), (140, 176))
    weights[::32], x[:, ::32] = 6, 6
    save_linear(tmp_path / "linear.onnx", weights)
    for seed in (1, 2, 3):
        for part in (x[:3], x):
            assert np.array_equal(run_linear(program, tmp_path, target, fmt, act, [part], seed=seed)[0], part.astype(np.float64) @ weights)


@pytest.mark.parametrize("target", ("sm_80", "sm_100a", "sm_120a"))
@pytest.mark.parametrize("fmt,act", PAIRS)
def test_a_story_is_the_same_as_on_the_processor(fmt, act, target, program, stories, tmp_path):
    check_story(fmt, act, target, program, stories, tmp_path)
