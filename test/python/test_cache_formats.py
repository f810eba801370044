"""KV caches in formats: the bytes are those of a formula in NumPy on every target, attention reads what they stand for, sessions keep them as they keep others."""
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import qcc
import test_attention_states as states
from qcc.decoder import Decoder
from small_models import BUILD, compiled, parse, qcc as run_qcc

STORIES = Path(__file__).resolve().parents[2] / "models/stories260K/model.onnx"
HEADS, KEY_HEADS, SIZE = 4, 2, 48  # a row of one block of 32 and a shorter one
BATCH = 2


def attention(size=SIZE, attributes=""):
    return parse(f"""
        g (float[B,S,{HEADS * size}] query, float[B,S,{KEY_HEADS * size}] key, float[B,S,{KEY_HEADS * size}] value,
           float[B,{KEY_HEADS},P,{size}] past_key, float[B,{KEY_HEADS},P,{size}] past_value)
        => (float[B,S,{HEADS * size}] y, float[B,{KEY_HEADS},T,{size}] present_key, float[B,{KEY_HEADS},T,{size}] present_value) {{
          y, present_key, present_value = Attention <q_num_heads = {HEADS}, kv_num_heads = {KEY_HEADS}, is_causal = 1{attributes}>
              (query, key, value, , past_key, past_value)
        }}""")


def appended(size=SIZE):
    """The same with a Concat, as exporters write it: keys may then be prepared for their format."""
    heads = lambda name, count: f"{name}r = Reshape({name}, {name}_split) {name}h = Transpose<perm = [0, 2, 1, 3]>({name}r)"
    return parse(f"""
        g (float[B,S,{HEADS * size}] q, float[B,S,{KEY_HEADS * size}] k, float[B,S,{KEY_HEADS * size}] v, float[1,1,S,T] bias,
           float[B,{KEY_HEADS},P,{size}] past_k, float[B,{KEY_HEADS},P,{size}] past_v)
        => (float[B,{HEADS},S,{size}] y, float[B,{KEY_HEADS},T,{size}] present_k, float[B,{KEY_HEADS},T,{size}] present_v) {{
          q_split = Constant<value_ints = [0, 0, {HEADS}, {size}]>() k_split = Constant<value_ints = [0, 0, {KEY_HEADS}, {size}]>()
          v_split = Constant<value_ints = [0, 0, {KEY_HEADS}, {size}]>() {heads("q", HEADS)} {heads("k", KEY_HEADS)} {heads("v", KEY_HEADS)}
          present_k = Concat<axis = 2>(past_k, kh) present_v = Concat<axis = 2>(past_v, vh)
          y = Attention(qh, present_k, present_v, bias)
        }}""")


def blocks_of(rows, block):
    return [rows[..., first:first + block] for first in range(0, rows.shape[-1], block)]


def float16_up(scale):
    """The float16 nearest to a scale, which stays positive."""
    half = scale.astype(np.float16)
    return np.where((half == 0) & (scale > 0), np.float16(2**-24), half)


def symmetric(rows, block, largest, bits):
    """Codes within +-largest and a float16 scale for each block: (codes, scales, values)."""
    parts = []
    for part in blocks_of(rows, block):
        scale = float16_up(np.abs(part).max(-1, keepdims=True) / np.float32(largest)).astype(np.float32)
        codes = np.rint(np.divide(part, scale, out=np.zeros_like(part), where=scale > 0)).clip(-largest, largest).astype(np.int32)
        parts.append((codes & (2**bits - 1), scale, None, codes * scale))
    return parts


def with_zero(rows, block, top):
    """Codes from 0 to top, a float16 scale and a zero for each block."""
    parts = []
    for part in blocks_of(rows, block):
        low, high = np.minimum(part.min(-1, keepdims=True), 0), np.maximum(part.max(-1, keepdims=True), 0)
        scale = float16_up((high - low) / np.float32(top))
        smaller = np.nextafter(scale, np.float16(0))
        steps = lambda s: np.rint(high / s) - np.rint(low / s)
        wide, narrow = scale.astype(np.float32), smaller.astype(np.float32)
        shrinks = (steps(wide) < top) & (narrow > np.float32(0.998) * wide)
        scale = np.where(shrinks, narrow, wide)
        zero = np.rint(-low / scale).clip(0, top)
        codes = (np.rint(part / scale).clip(-zero, top - zero) + zero).astype(np.int32)
        parts.append((codes, scale, zero, (codes - zero).astype(np.float32) * scale))
    return parts


def float8(rows):
    import ml_dtypes
    scale = np.abs(rows).max(-1, keepdims=True) / np.float32(448)
    codes = (rows / scale).clip(-448, 448).astype(ml_dtypes.float8_e4m3fn)
    return [(codes.view(np.uint8).astype(np.int32), scale, None, codes.astype(np.float32) * scale)]


ROUND = {
    "int8": lambda rows: symmetric(rows, 32, 127, 8),
    "int8-g16": lambda rows: symmetric(rows, 16, 127, 8),
    "int4-g32": lambda rows: symmetric(rows, 32, 7, 4),
    "int4": lambda rows: with_zero(rows, 32, 15),
    "fp8": float8,
}


def values_of(parts):
    return np.concatenate([part[3] for part in parts], axis=-1)


def bytes_of(parts, name):
    """A row as it is stored: codes, scales, zeros, each group from the next multiple of 4 bytes on where it is the first or second."""
    bits = 4 if name.startswith("int4") else 8
    codes, lead = [], parts[0][0].shape[:-1]
    for part in parts:
        width = part[0].shape[-1]
        each = -(-width * bits // 8)
        packed = np.zeros((*lead, each), np.int32)
        for i in range(width):
            packed[..., i % each] |= part[0][..., i] << (i // each * bits)
        codes.append(packed.astype(np.uint8))
    pad = lambda x: np.concatenate([x, np.zeros((*lead, -x.shape[-1] % 4), np.uint8)], axis=-1)
    scale_type = np.float32 if name == "fp8" else np.float16
    scales = np.ascontiguousarray(np.concatenate([part[1] for part in parts], axis=-1).astype(scale_type)).view(np.uint8)
    row = np.concatenate([pad(np.concatenate(codes, axis=-1)), scales], axis=-1)
    if parts[0][2] is not None:
        row = np.concatenate([row, np.concatenate([part[2] for part in parts], axis=-1).astype(np.uint8)], axis=-1)
    return pad(row)


def heads_of(rows, heads):
    return rows.reshape(*rows.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def attend(query, key, value, before, softcap=0.0):
    """Causal attention in float64; query is (batch, rows, heads * size), key and value (batch, heads, positions, size)."""
    q, k, v = heads_of(query, HEADS).astype(np.float64), key.repeat(HEADS // KEY_HEADS, 1), value.repeat(HEADS // KEY_HEADS, 1)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    scores = softcap * np.tanh(scores / softcap) if softcap else scores
    scores = np.where(np.tri(q.shape[2], k.shape[2], before, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    y = weights / weights.sum(-1, keepdims=True) @ v
    return y.transpose(0, 2, 1, 3).reshape(query.shape)


def feed(rows, size=SIZE, seed=0, batch=BATCH):
    rng = np.random.default_rng(seed)
    shape = lambda heads: (batch, rows, heads * size)
    key = rng.standard_normal(shape(KEY_HEADS)) * np.where(np.arange(KEY_HEADS * size) % 11 == 3, 20, 1)  # a few channels are large
    return {"query": rng.standard_normal(shape(HEADS)).astype(np.float32), "key": key.astype(np.float32),
            "value": rng.standard_normal(shape(KEY_HEADS)).astype(np.float32)}


@pytest.mark.parametrize("name", ROUND)
@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "native", "sm_80"])
def test_bytes_and_results(name, target, tmp_path):
    """The reference rounds keys and values by the same formula, and attends in float64."""
    device = "emulate" if target.startswith("sm_") else None
    model = qcc.load(compiled(attention(), tmp_path, f"--kv={name}", f"--target={target}"), device=device)
    session, pieces = model.session(), [feed(rows, seed=rows) for rows in (5, 1, 1, 40)]
    pieces[1]["key"][:] = 0  # rows without a scale
    stored = {"key": [], "value": []}
    before = 0
    for piece in pieces:
        result = session.run(piece, ["y", "present_key", "present_value"])
        for part in stored:
            stored[part].append(ROUND[name](heads_of(piece[part], KEY_HEADS)) if piece[part].any() else None)
        all_values = {}
        for part, parts in stored.items():
            rows = [np.zeros((BATCH, KEY_HEADS, old["key"].shape[1], SIZE), np.float32) if one is None else values_of(one)
                    for one, old in zip(parts, pieces)]
            all_values[part] = np.concatenate(rows, axis=2)
            begin = before
            if parts[-1] is not None:
                actual = result[f"present_{part}"][:, :, begin:]
                np.testing.assert_array_equal(actual, bytes_of(parts[-1], name))
        expected = attend(piece["query"], all_values["key"], all_values["value"], before)
        before += piece["key"].shape[1]
        np.testing.assert_allclose(result["y"], expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_narrow_floats(name, tmp_path):
    import ml_dtypes
    narrow = np.float16 if name == "float16" else ml_dtypes.bfloat16
    session, piece = qcc.load(compiled(attention(), tmp_path, f"--kv={name}")).session(), feed(9)
    result = session.run(piece, ["y", "present_key"])
    key, value = (heads_of(piece[part], KEY_HEADS).astype(narrow) for part in ("key", "value"))
    np.testing.assert_array_equal(result["present_key"], key)
    np.testing.assert_allclose(result["y"], attend(piece["query"], key.astype(np.float32), value.astype(np.float32), 0), rtol=2e-5, atol=2e-5)


def test_formats_of_keys_and_values(tmp_path):
    model = qcc.load(compiled(attention(), tmp_path, "--kv=int8,int4"))
    key, value = (state.value for state in model.states)
    assert (key.dims[-1], value.dims[-1]) == (48 + 4, 24 + 4 + 4)
    piece = feed(7)
    y = model.session().run(piece, ["y"])["y"]
    rounded = [values_of(ROUND[name](heads_of(piece[part], KEY_HEADS))) for part, name in (("key", "int8"), ("value", "int4"))]
    np.testing.assert_allclose(y, attend(piece["query"], *rounded, 0), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["int8", "int4", "fp8"])
def test_sessions_keep_them(name, tmp_path):
    """Shortened, saved, loaded, and grown: what comes after is what comes after in a session that was never interrupted."""
    model = qcc.load(compiled(attention(), tmp_path, f"--kv={name}"))
    first, second, third = feed(50, seed=1), feed(3, seed=2), feed(1, seed=3)
    session = model.session()
    session.run(first, [])
    saved = session.run(second, ["present_key", "present_value"])
    expected = session.run(third, ["y"])["y"]
    session.run(feed(70, seed=4), [])
    session.truncate(53)
    np.testing.assert_array_equal(session.run(third, ["y"])["y"], expected)
    other = model.session()
    passed = {f"past_{part}": saved[f"present_{part}"] for part in ("key", "value")}
    np.testing.assert_array_equal(other.run({**third, **passed}, ["y"])["y"], expected)
    with pytest.raises(qcc.RunError, match="input .past_key. .*; the cache is kept in .*, and is passed as a run gives it"):
        other.run({**third, **{name: np.zeros((BATCH, KEY_HEADS, 4, SIZE), np.float32) for name in passed}}, ["y"])


@pytest.mark.parametrize("options", [["--kv=int4"], ["--kv=int8", "data"], ["--kv=int4", "data"]])
def test_prepared_keys_give_the_same_scores(options, tmp_path):
    """Balanced or rotated, and in a format so fine that what is left of the difference is small: results are those of the float program."""
    model, size = appended(64), 64
    rng = np.random.default_rng(0)
    def inputs(rows):
        given = {name: array for name, array in zip("qkv", feed(rows, size, seed=rows, batch=1).values())}
        given["k"] += np.where(np.arange(KEY_HEADS * size) % 13 == 5, 8, 0).astype(np.float32)  # off centre
        return given | {"bias": np.where(np.tri(rows, rows, dtype=bool), 0, -1e9).astype(np.float32)[None, None]}
    if "data" in options:
        np.savez(tmp_path / "data.npz", **inputs(200))
        options = [options[0], f"--calib={tmp_path / 'data.npz'}"]
    plain, kept = (qcc.load(compiled(model, tmp_path / name, *some)).session() for name, some in (("float", []), ("kept", options)))
    given = inputs(64)
    expected, actual = plain.run(given, ["y"])["y"], kept.run(given, ["y"])["y"]
    bound = 0.02 if "int8" in options[0] else 0.25 if len(options) > 1 else 0.6
    assert np.linalg.norm(actual - expected) <= bound * np.linalg.norm(expected)


@pytest.mark.parametrize("name", states.MODELS)
def test_every_operator_that_keeps_a_cache(name, tmp_path, monkeypatch):
    """In whatever pieces a text is read, and with entries that end at different positions: near the float program, whose tests say what it computes."""
    monkeypatch.setattr(states, "RNG", np.random.default_rng(0))  # the same numbers whichever tests ran before
    model = states.MODELS[name]
    float_session, session = (qcc.load(compiled(model, tmp_path / kind, *options)).session() for kind, options in (("float", []), ("int8", ["--kv=int8"])))
    before = 0
    for new in states.PIECES:
        given = states.feed_for(model, 3, before, new)
        expected, actual = float_session.run(given, ["y"])["y"], session.run(given, ["y"])["y"]
        assert np.linalg.norm(actual - expected) <= 0.05 * np.linalg.norm(expected)
        before += new


def test_a_recipe_says_the_format(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('kv = "int8,int4"\n')
    model = qcc.load(compiled(attention(), tmp_path, f"--recipe={recipe}"))
    assert [state.value.dims[-1] for state in model.states] == [52, 32]
    model = qcc.load(compiled(attention(), tmp_path, f"--recipe={recipe}", "--kv=fp8"))
    assert [state.value.dims[-1] for state in model.states] == [52, 52]
    recipe.write_text('\nkv = "int3"\n')
    done = run_qcc(attention(), tmp_path, f"--recipe={recipe}", "-o", tmp_path / "model.qcc")
    assert done.returncode == 2 and f"{recipe}:2:6: format 'int3'" in done.stderr


def test_a_decoder_reads_what_it_has_written(tmp_path):
    """At once or token by token. Sums in another order may give the neighbouring code, which is a whole step."""
    for name, bound in (("int8", 1e-3), ("fp8", 1e-2), ("bfloat16", 1e-3), ("int4", 2e-2)):
        decoder = Decoder(qcc.load(qcc.compile(STORIES, tmp_path / "model.qcc", act="f32", options=[f"--kv={name}"]), threads=1))
        tokens = np.random.default_rng(1).integers(0, 500, (2, 90))
        whole = decoder(tokens)
        decoder.reset()
        single = np.concatenate([decoder(tokens[:, i:i + 1]) for i in range(tokens.shape[1])], axis=1)
        assert np.linalg.norm(single - whole) <= bound * np.linalg.norm(whole), name


def test_plan_and_manifest(tmp_path):
    path = compiled(attention(), tmp_path, "--kv=int8")
    done = subprocess.run([str(BUILD / "bin/qcc-inspect"), str(path), "--json"], capture_output=True, text=True, check=True)
    states = json.loads(done.stdout)["states"]
    assert [(state["format"], state["dtype"], state["dims"][-1]) for state in states] == [("int8-g32", "u8", 52)] * 2
    done = run_qcc(attention(), tmp_path, "--kv=int8", "--print-plan=json", "--plan-lengths=P=99")
    plan = json.loads(done.stdout)
    assert plan["memory"]["states_bytes"] == 2 * KEY_HEADS * 100 * 52
    assert plan["caches"] == [{"input": f"past_{part}", "format": "int8-g32", "bytes_per_token": KEY_HEADS * 52, "bits_per_value": 8.667} for part in ("key", "value")]
    assert "caches: int8-g32 in 2 states, 208 bytes a token" in run_qcc(attention(), tmp_path, "--kv=int8", "--print-plan").stdout
    assert "caches: f32 in 2 states, 768 bytes a token" in run_qcc(attention(), tmp_path, "--print-plan").stdout


@pytest.mark.parametrize("options, message", [
    (["--kv=int9"], "format 'int9' is not known"),
    (["--kv=int3"], "has codes of 3 bits, and a cache takes codes of 2, 4 or 8"),
    (["--kv=nvfp4"], "has a scale for several rows, and a cache is written row by row"),
    (["--kv=int8-tensor"], "has a scale for several rows, and a cache is written row by row"),
    (["--kv=int8,int4,int4"], "is one format, or one of keys and one of values"),
    (["--kv=int8", "--keep-signature"], "the program has no KV cache that a session keeps"),
])
def test_what_cannot_be(options, message, tmp_path):
    done = run_qcc(attention(), tmp_path, "-o", tmp_path / "model.qcc", *options)
    assert done.returncode == 2 and message in done.stderr, done.stderr
