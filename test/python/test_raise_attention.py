"""Attention that is spelled out, in the ways exporters write it: one operator is made of it, and it computes the same."""
import numpy as np
import pytest

from small_models import canonical, parse, relative_error, run

RNG = np.random.default_rng(0)
B, H, S, T, D = 2, 4, 3, 5, 8
LOWEST = float(np.finfo(np.float32).min)


def softmax(scores):
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def normal(*dims):
    return RNG.standard_normal(dims).astype(np.float32)


def some_keys():
    """A mask under which the first row of the first text sees nothing."""
    mask = RNG.random((B, 1, S, T)) < 0.6
    mask[:, :, :, 0], mask[0, 0, 0] = True, False
    return mask


def attention(q, k, v, scale, change=lambda scores: scores):
    return softmax(change(q.astype(np.float64) @ k.swapaxes(-1, -2) * scale)) @ v


CASES = {}


def case(make):
    CASES[make.__name__] = make()
    return make


def model(body, inputs=f"float[b,{H},s,{D}] q, float[b,{H},t,{D}] k, float[b,{H},t,{D}] v", result=f"float[b,{H},s,{D}] y"):
    return parse(f"g ({inputs}) => ({result}) {{ {body} }}")


@case
def scores_that_a_finite_number_replaces():
    q, k, v, keep = normal(B, H, S, D), normal(B, H, T, D), normal(B, H, T, D), some_keys()
    text = f"""fill = Constant<value = float {{{LOWEST!r}}}>() c = Constant<value = float {{0.5}}>() kt = Transpose<perm = [0, 1, 3, 2]>(k) p = MatMul(q, kt) scaled = Mul(p, c)
        scores = Where(keep, scaled, fill) w = Softmax<axis = -1>(scores) y = MatMul(w, v)"""
    inputs = f"float[b,{H},s,{D}] q, float[b,{H},t,{D}] k, float[b,{H},t,{D}] v, bool[b,1,s,t] keep"
    return model(text, inputs), dict(q=q, k=k, v=v, keep=keep), attention(q, k, v, 0.5, lambda s: np.where(keep, s, LOWEST))


@case
def scores_that_infinity_replaces_where_the_mask_is_set():
    q, k, v, drop = normal(B, H, S, D), normal(B, H, T, D), normal(B, H, T, D), ~some_keys()
    drop[0, 0, 0, 1] = False  # every row sees a key: otherwise the softmax itself is not a number
    text = """fill = Constant<value = float {-inf}>() kt = Transpose<perm = [0, 1, 3, 2]>(k) p = MatMul(q, kt)
        scores = Where(drop, fill, p) w = Softmax<axis = 3>(scores) y = MatMul(w, v)"""
    inputs = f"float[b,{H},s,{D}] q, float[b,{H},t,{D}] k, float[b,{H},t,{D}] v, bool[b,1,s,t] drop"
    return model(text, inputs), dict(q=q, k=k, v=v, drop=drop), attention(q, k, v, 1, lambda s: np.where(drop, -np.inf, s))


@case
def softcap():
    q, k, v, mask = normal(B, H, S, D), normal(B, H, T, D), normal(B, H, T, D), normal(B, 1, S, T)
    text = """c = Constant<value = float {0.25}>() cap = Constant<value = float {2.0}>() qs = Mul(q, c) kt = Transpose<perm = [0, 1, 3, 2]>(k) p = MatMul(qs, kt)
        part = Div(p, cap) bounded = Tanh(part) capped = Mul(bounded, cap) scores = Add(capped, mask) w = Softmax<axis = -1>(scores) y = MatMul(w, v)"""
    inputs = f"float[b,{H},s,{D}] q, float[b,{H},t,{D}] k, float[b,{H},t,{D}] v, float[b,1,s,t] mask"
    return model(text, inputs), dict(q=q, k=k, v=v, mask=mask), attention(q, k, v, 0.25, lambda s: 2 * np.tanh(s / 2) + mask)


MERGED = f"float[b,{H},s,{D}] q, float[b,{H},t,{D}] k, float[b,{H},t,{D}] v"
MERGE = f"""rows = Constant<value_ints = [-1, {S}, {D}]>() keys = Constant<value_ints = [-1, {T}, {D}]>() split = Constant<value_ints = [-1, {H}, {S}, {T}]>()
        flat = Constant<value_ints = [-1, {S}, {T}]>() out = Constant<value_ints = [-1, {H}, {S}, {D}]>()
        q3 = Reshape(q, rows) k3 = Reshape(k, keys) v3 = Reshape(v, keys) kt = Transpose<perm = [0, 2, 1]>(k3) p = MatMul(q3, kt)"""


def merged(body, mask_type, mask, expected):
    q, k, v = normal(B, H, S, D), normal(B, H, T, D), normal(B, H, T, D)
    inputs = f"float[{B},{H},{S},{D}] q, float[{B},{H},{T},{D}] k, float[{B},{H},{T},{D}] v, {mask_type} mask"
    return model(MERGE + body, inputs, f"float[{B},{H},{S},{D}] y"), dict(q=q, k=k, v=v, mask=mask), attention(q, k, v, 1, expected)


@case
def batch_and_heads_in_one_axis_but_for_the_mask():
    mask = normal(B, 1, S, T)
    return merged("""apart = Reshape(p, split) scores = Add(apart, mask) again = Reshape(scores, flat)
        w = Softmax<axis = -1>(again) y3 = MatMul(w, v3) y = Reshape(y3, out)""", f"float[{B},1,{S},{T}]", mask, lambda s: s + mask)


@case
def batch_and_heads_in_one_axis_with_the_mask():
    mask = normal(B * H, S, T)
    return merged("""scores = Add(mask, p) w = Softmax<axis = 2>(scores) y3 = MatMul(w, v3) y = Reshape(y3, out)""", f"float[{B * H},{S},{T}]", mask,
                  lambda s: s + mask.reshape(B, H, S, T))


@case
def batch_and_heads_in_one_axis_of_the_keys():
    """As torch's exporter swaps the axes of keys of known rank."""
    q, k, v = normal(B, H, S, D), normal(B, H, T, D), normal(B, H, T, D)
    text = f"""keys = Constant<value_ints = [-1, {T}, {D}]>() apart = Constant<value_ints = [{B}, {H}, {D}, {T}]>() c = Constant<value = float[1] {{0.5}}>()
        k3 = Reshape(k, keys) k3t = Transpose<perm = [0, 2, 1]>(k3) kt = Reshape(k3t, apart) qs = Mul(q, c) ks = Mul(kt, c) p = MatMul(qs, ks)
        w = Softmax<axis = -1>(p) y = MatMul(w, v)"""
    inputs = f"float[{B},{H},{S},{D}] q, float[{B},{H},{T},{D}] k, float[{B},{H},{T},{D}] v"
    return model(text, inputs, f"float[{B},{H},{S},{D}] y"), dict(q=q, k=k, v=v), attention(q, k, v, 0.25)


@pytest.mark.parametrize("name", CASES)
def test_one_operator(name, tmp_path):
    program, inputs, expected = CASES[name]
    operators, text = canonical(program, tmp_path)
    assert operators.count("Attention") == 1 and "Softmax" not in operators, text
    assert relative_error(run(program, tmp_path, **inputs)[0], expected) < 1e-6


def test_two_masks_are_left_as_they_are(tmp_path):
    """What is added to a score that was replaced is not what the operator would add."""
    q, k, v, keep, mask = normal(B, H, S, D), normal(B, H, T, D), normal(B, H, T, D), some_keys(), normal(B, 1, 1, T)
    program = model("""fill = Constant<value = float {-10.0}>() kt = Transpose<perm = [0, 1, 3, 2]>(k) p = MatMul(q, kt) chosen = Where(keep, p, fill)
        scores = Add(chosen, mask) w = Softmax<axis = -1>(scores) y = MatMul(w, v)""",
                    f"float[b,{H},s,{D}] q, float[b,{H},t,{D}] k, float[b,{H},t,{D}] v, bool[b,1,s,t] keep, float[b,1,1,t] mask")
    assert "Attention" not in canonical(program, tmp_path)[0]
    expected = attention(q, k, v, 1, lambda s: np.where(keep, s, -10) + mask)
    assert relative_error(run(program, tmp_path, q=q, k=k, v=v, keep=keep, mask=mask)[0], expected) < 1e-6
