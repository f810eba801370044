"""Writes goldens.npz beside this file: what the algorithms give when written plainly from
their papers, in float64. Run by hand:

    .venv/bin/python test/unit/Algorithm/goldens/make.py
"""
from pathlib import Path

import ml_dtypes
import numpy as np

F32 = np.float32
NF4 = np.array([-1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0,
                0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1], F32)


def stable(amax, largest):
    """The float32 scale that asks for itself again."""
    scale = F32(amax) / F32(largest)
    for _ in range(4):
        again = F32(scale * F32(largest)) / F32(largest)
        if again == scale:
            break
        scale = again
    return scale


def amax(values):
    return np.abs(values).max()


def symmetric(bits, half):
    top = 2 ** (bits - 1) - 1
    scale = (lambda v: F32(np.float16(F32(amax(v)) / F32(top)))) if half else (lambda v: stable(amax(v), top))
    return scale, lambda w, s: np.clip(np.rint(F32(w) / s), -top, top) * s


def asymmetric(bits):
    top = 2 ** bits - 1

    def choose(values):
        low, high = min(F32(0), values.min()), max(F32(0), values.max())
        scale = np.float16((F32(high) - F32(low)) / F32(top))
        smaller = np.nextafter(scale, np.float16(0))
        if np.rint(high / F32(scale)) - np.rint(low / F32(scale)) < top and F32(smaller) > F32(0.998) * F32(scale):
            scale = smaller
        scale = F32(scale)
        return scale, int(np.clip(np.rint(-low / scale), 0, top))

    def rounded(w, grid):
        scale, zero = grid
        return np.clip(np.rint(F32(w) / scale), -zero, top - zero) * scale
    return choose, rounded


def nearest(w, table):
    return table[np.abs(table - w).argmin()]


def nf4(w, s):
    return F32(nearest(F32(w) / s, NF4)) * s


def e2m1(w, s):
    return F32(ml_dtypes.float4_e2m1fn(np.clip(F32(w) / s, -6, 6))) * s


def e4m3(w, s):
    return F32(ml_dtypes.float8_e4m3fn(np.clip(F32(w) / s, -448, 448))) * s


def power(values):
    return F32(2.0 ** (np.floor(np.log2(amax(values))) - 2))


# Name: block (0: the row), scale of a block, value of a weight on a scale's grid.
FORMATS = {f"int4-g{g}": (g, *symmetric(4, True)) for g in (32, 64, 128)}
FORMATS |= {f"int4-g{g}-asym": (g, *asymmetric(4)) for g in (32, 64, 128)}
FORMATS |= {
    "int4": (0, *symmetric(4, False)),
    "int8": (0, *symmetric(8, False)),
    "int8-g32": (32, *symmetric(8, True)),
    "nf4": (64, lambda v: F32(amax(v)), nf4),
    "mxfp4": (32, power, e2m1),
    "fp8": (0, lambda v: stable(amax(v), 448), e4m3),
}


def gptq(weights, hessian, block, choose, rounded, ordered):
    """Algorithm 1 of arXiv 2210.17323; with `ordered`, by descending diagonal on scales of the original weights."""
    rows, n = weights.shape
    block = block or n
    order = np.argsort(-np.diag(hessian), kind="stable") if ordered else np.arange(n)
    damped = hessian + 0.01 * np.diag(hessian).mean() * np.eye(n)
    inverse = np.linalg.inv(damped[np.ix_(order, order)])
    upper = np.linalg.cholesky(inverse).T
    work = weights.astype(np.float64)
    result = np.zeros_like(work)
    grids = {}
    for row in range(rows):
        for left in range(0, n, block):
            grids[row, left] = choose(F32(weights[row, left:left + block]))
    for i, column in enumerate(order):
        left = column // block * block
        if not ordered and column == left:
            for row in range(rows):
                grids[row, left] = choose(F32(work[row, left:left + block]))
        for row in range(rows):
            result[row, column] = rounded(work[row, column], grids[row, left])
        error = (work[:, column] - result[:, column]) / upper[i, i]
        work[:, order[i:]] -= np.outer(error, upper[i, i:])
    return result


def objective(weights, result, hessian):
    error = weights.astype(np.float64) - result
    return np.sum((error @ hessian) * error)


def nearest_values(weights, block, choose, rounded):
    result = np.zeros(weights.shape)
    for row, values in enumerate(F32(weights)):
        for left in range(0, len(values), block or len(values)):
            part = values[left:left + (block or len(values))]
            grid = choose(part)
            result[row, left:left + len(part)] = [rounded(w, grid) for w in part]
    return result


def searched(block_values, importance, choose, rounded):
    """The grid with the least weighed error among 41 ranges."""
    best = None
    for factor in (1, *(4 / 3 + np.arange(40) / 39 * (0.5 - 4 / 3))):
        grid = choose(F32(block_values) * F32(factor))
        values = np.array([rounded(w, grid) for w in block_values], np.float64)
        error = np.sum(importance * (block_values.astype(np.float64) - values) ** 2)
        if best is None or error < best[0]:
            best = error, grid
    return best


def search(weights, importance, block, choose, rounded):
    block = block or weights.shape[1]
    return sum(searched(row[left:left + block], importance[left:left + block], choose, rounded)[0]
               for row in weights for left in range(0, len(row), block))


def hqq(weights, block, choose):
    """The half-quadratic solver with integer zeros, and the scale by least squares where the zero stays; Σ |e|^0.7."""
    total = 0
    for row in weights:
        for left in range(0, len(row), block):
            values = row[left:left + block].astype(np.float64)
            scale, zero = choose(row[left:left + block])
            beta, least = 10, np.inf
            for _ in range(21):
                codes = np.clip(np.rint(F32(values) / F32(scale)) + zero, 0, 15).astype(np.float64)
                error = values - (codes - zero) * scale
                least = min(least, np.sum(np.abs(error) ** 0.7))
                size = np.maximum(np.abs(error), 1e-300)
                target = values - np.sign(error) * np.maximum(size - size ** -0.3 / beta, 0)
                moved = int(np.clip(np.rint(np.mean(codes - target / scale)), 0, 15))
                if moved == zero:
                    again = F32(np.float16(np.sum((codes - zero) * target) / np.sum((codes - zero) ** 2)))
                    if again == scale:
                        break
                    scale = again
                zero = moved
                beta *= 1.01
            total += least
    return np.float64([total])


def awq(weights, hessian, mean_absolute, spec, duo):
    """The least error over 20 exponents (arXiv 2306.00978, equation 5), and the exponent."""
    block = spec[0] or weights.shape[1]
    split = np.abs(weights.astype(np.float64)).reshape(len(weights), -1, block)
    sizes = (split / split.max(axis=2, keepdims=True)).reshape(weights.shape).mean(axis=0)
    errors = []
    for i in range(20):
        scales = mean_absolute ** (i / 20)
        if duo:
            scales = scales / (sizes ** (1 - i / 20) + 1e-4)
        scales = np.maximum(scales, 1e-4)
        scales = F32(scales / np.sqrt(scales.max() * scales.min()))
        values = nearest_values(F32(weights * scales), *spec) / scales
        errors.append(objective(weights, values, hessian))
    return np.float64([min(errors), int(np.argmin(errors)) / 20])


def main():
    random = np.random.default_rng(20261124)
    rows, columns, tokens = 24, 320, 640
    mix = random.normal(size=(columns, columns)) * (random.random((columns, columns)) < 0.05) + 2 * np.eye(columns)
    channels = np.exp(random.normal(0, 0.6, columns))
    # Small integers, so that XᵀX is exact in every order of its sums.
    activations = np.clip(np.rint(random.normal(size=(tokens, columns)) @ mix * channels), -127, 127).astype(np.int8)
    weights = (random.standard_t(5, (rows, columns)) * 0.02).astype(F32)
    wide = activations.astype(np.float64)
    hessian = wide.T @ wide / tokens
    out = {"activations": activations, "weights": weights}
    for name, (block, choose, rounded) in FORMATS.items():
        for ordered in (False, True):
            result = gptq(weights, hessian, block, choose, rounded, ordered)
            out[f"{name}:{'ordered' if ordered else 'natural'}"] = np.float64([objective(weights, result, hessian)])
    mean_absolute = np.abs(wide).mean(axis=0)
    for name in ("int4-g32", "int4-g64-asym", "int4"):
        for duo in (False, True):
            out[f"{name}:awq{'-weights' if duo else ''}"] = awq(weights, hessian, mean_absolute, FORMATS[name], duo)
    for name in ("int4-g32", "int4-g64-asym", "nf4", "mxfp4", "fp8"):
        out[f"{name}:searched"] = np.float64([search(weights, np.diag(hessian), *FORMATS[name])])
    for name in ("int4-g32-asym", "int4-g128-asym"):
        out[f"{name}:hqq"] = hqq(weights, *FORMATS[name][:2])
    block, choose, rounded = FORMATS["int4-g64"]
    clipped = gptq(weights, hessian, block, lambda v: searched(v, 1, choose, rounded)[1], rounded, True)
    out["int4-g64:clipped"] = np.float64([objective(weights, clipped, hessian)])
    most_input, most_weight = np.abs(wide).max(axis=0), np.abs(weights.astype(np.float64)).max(axis=0)
    out["smooth"] = F32(most_input ** 0.7 / most_weight ** 0.3)
    np.savez_compressed(Path(__file__).with_name("goldens.npz"), **out)


if __name__ == "__main__":
    main()
