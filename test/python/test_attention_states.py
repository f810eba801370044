"""Caches of attention operators: a session that keeps them gives what the model's own signature gives, in whatever pieces a text is read."""
import numpy as np
import pytest

import qcc
from small_models import compiled, parse

HEADS, KEY_HEADS, SIZE = 4, 2, 32
RNG = np.random.default_rng(0)


def grouped(attributes="", packed=False, bias=False, half_size=SIZE // 2):
    """GroupQueryAttention whose total length is an input of the program, with a head size that the cache does not say."""
    keys = "" if packed else f", float[B,S,{KEY_HEADS * SIZE}] key, float[B,S,{KEY_HEADS * SIZE}] value"
    query = (HEADS + 2 * KEY_HEADS if packed else HEADS) * SIZE
    operands = "query,,," if packed else "query, key, value,"
    return parse(f"""
        g (float[B,S,{query}] query{keys}, int32[B] ends, int32 total, float[64,{half_size}] cosine, float[64,{half_size}] sine{', float[1,1,S,T] bias' if bias else ''},
           float[B,{KEY_HEADS},P,D] past_key, float[B,{KEY_HEADS},P,D] past_value)
        => (float[B,S,{HEADS * SIZE}] y, float[B,{KEY_HEADS},T,D] present_key, float[B,{KEY_HEADS},T,D] present_value) {{
          y, present_key, present_value = com.microsoft.GroupQueryAttention <num_heads = {HEADS}, kv_num_heads = {KEY_HEADS}{attributes}>
              ({operands} past_key, past_value, ends, total, cosine, sine{',, bias' if bias else ''})
        }}""")


def multi_head():
    return parse(f"""
        g (float[B,S,{HEADS * SIZE}] query, float[B,S,{HEADS * SIZE}] key, float[B,S,{HEADS * SIZE}] value, float[{3 * HEADS * SIZE}] offset, float[1,1,S,T] bias,
           float[B,{HEADS},P,D] past_key, float[B,{HEADS},P,D] past_value)
        => (float[B,S,{HEADS * SIZE}] y, float[B,{HEADS},T,D] present_key, float[B,{HEADS},T,D] present_value) {{
          y, present_key, present_value = com.microsoft.MultiHeadAttention <num_heads = {HEADS}, unidirectional = 1> (query, key, value, offset, , bias, past_key, past_value)
        }}""")


def paired():
    return parse(f"""
        g (float[B,S,24] x, float[24,{3 * HEADS * SIZE}] w, float[{3 * HEADS * SIZE}] offset, int32[B,T] mask, float[2,B,{HEADS},P,D] past)
        => (float[B,S,{HEADS * SIZE}] y, float[2,B,{HEADS},T,D] present) {{
          y, present = com.microsoft.Attention <num_heads = {HEADS}, unidirectional = 1> (x, w, offset, mask, past)
        }}""")


def plain(attributes=""):
    return parse(f"""
        g (float[B,S,{HEADS * SIZE}] query, float[B,S,{KEY_HEADS * SIZE}] key, float[B,S,{KEY_HEADS * SIZE}] value,
           float[B,{KEY_HEADS},P,D] past_key, float[B,{KEY_HEADS},P,D] past_value)
        => (float[B,S,{HEADS * SIZE}] y, float[B,{KEY_HEADS},T,D] present_key, float[B,{KEY_HEADS},T,D] present_value) {{
          y, present_key, present_value = Attention <q_num_heads = {HEADS}, kv_num_heads = {KEY_HEADS}, is_causal = 1{attributes}> (query, key, value, , past_key, past_value)
        }}""")


def spelled_out():
    """As GPT-2 has it: the past taken apart, keys transposed around their concatenation, and all of it stacked again."""
    fresh = lambda name: f"{name}r = Reshape({name}, split)"
    return parse(f"""
        g (float[B,S,{HEADS * SIZE}] q, float[B,S,{HEADS * SIZE}] k, float[B,S,{HEADS * SIZE}] v, bool[1,1,S,T] keep, float[2,B,{HEADS},P,{SIZE}] past)
        => (float[B,{HEADS},S,{SIZE}] y, float[2,B,{HEADS},T,{SIZE}] present) {{
          split = Constant<value_ints = [0, 0, {HEADS}, {SIZE}]>() first = Constant<value = int64 {{0}}>() second = Constant<value = int64 {{1}}>()
          front = Constant<value_ints = [0]>() fill = Constant<value = float {{-10000.0}}>() root = Constant<value = float {{4.0}}>()
          {fresh("q")} {fresh("k")} {fresh("v")} qh = Transpose<perm = [0, 2, 1, 3]>(qr) kh = Transpose<perm = [0, 2, 3, 1]>(kr) vh = Transpose<perm = [0, 2, 1, 3]>(vr)
          pk = Gather<axis = 0>(past, first) pv = Gather<axis = 0>(past, second) pkt = Transpose<perm = [0, 1, 3, 2]>(pk)
          keys = Concat<axis = -1>(pkt, kh) values = Concat<axis = -2>(pv, vh) back = Transpose<perm = [0, 1, 3, 2]>(keys)
          back1 = Unsqueeze(back, front) values1 = Unsqueeze(values, front) present = Concat<axis = 0>(back1, values1)
          product = MatMul(qh, keys) scaled = Div(product, root) scores = Where(keep, scaled, fill) weights = Softmax<axis = -1>(scores) y = MatMul(weights, values)
        }}""")


def positions_first(transposed):
    """A cache (batch, positions, heads, size), which attention reads transposed: before its concatenation and back behind it, or behind it alone."""
    heads = lambda name: f"{name}r = Reshape({name}, split) {name}h = Transpose<perm = [0, 2, 1, 3]>({name}r)"
    cache = lambda name: (f"p{name} = Transpose<perm = [0, 2, 1, 3]>(past_{name}) all_{name} = Concat<axis = 2>(p{name}, {name}h) present_{name} = Transpose<perm = [0, 2, 1, 3]>(all_{name})"
                          if transposed else f"present_{name} = Concat<axis = 1>(past_{name}, {name}r) all_{name} = Transpose<perm = [0, 2, 1, 3]>(present_{name})")
    return parse(f"""
        g (float[B,S,{HEADS * SIZE}] q, float[B,S,{HEADS * SIZE}] k, float[B,S,{HEADS * SIZE}] v, float[1,1,S,T] bias,
           float[B,P,{HEADS},{SIZE}] past_k, float[B,P,{HEADS},{SIZE}] past_v)
        => (float[B,{HEADS},S,{SIZE}] y, float[B,T,{HEADS},{SIZE}] present_k, float[B,T,{HEADS},{SIZE}] present_v) {{
          split = Constant<value_ints = [0, 0, {HEADS}, {SIZE}]>() {heads("q")} {heads("k")} {heads("v")} {cache("k")} {cache("v")}
          kt = Transpose<perm = [0, 1, 3, 2]>(all_k) product = MatMul(qh, kt) scores = Add(product, bias) weights = Softmax<axis = -1>(scores) y = MatMul(weights, all_v)
        }}""")


MODELS = {
    "grouped": grouped(),
    "grouped, window": grouped(", local_window_size = 5"),
    "grouped, softcap": grouped(", softcap = 2.0"),
    "grouped, rotary": grouped(", do_rotary = 1"),
    "grouped, rotary, interleaved, packed": grouped(", do_rotary = 1, rotary_interleaved = 1", packed=True),
    "grouped, rotary of a part, window, bias": grouped(", do_rotary = 1, local_window_size = 7", bias=True, half_size=8),
    "grouped, smooth": grouped(", smooth_softmax = 1"),
    "multi-head": multi_head(),
    "paired": paired(),
    "paired, spelled out": spelled_out(),
    "positions first": positions_first(False),
    "positions first, transposed and back": positions_first(True),
    "plain": plain(),
    "plain, softcap": plain(", softcap = 2.0"),
}
PIECES = (3, 1, 1, 9, 2, 1, 20, 1)


@pytest.fixture(scope="module", params=MODELS)
def programs(request, tmp_path_factory):
    model, folder = MODELS[request.param], tmp_path_factory.mktemp("states")
    return model, *(qcc.load(compiled(model, folder / name, *options)) for name, options in (("kept", ()), ("passed", ("--keep-signature",))))


def dims_of(value, sizes):
    return [dim.dim_value or sizes[dim.dim_param] for dim in value.type.tensor_type.shape.dim]


def feed_for(model, batch, before, new, ends=None):
    sizes = {"B": batch, "S": new, "P": before, "T": before + new, "D": SIZE}
    feed = {}
    for value in model.graph.input:
        if value.name.startswith("past"):
            continue
        feed[value.name] = RNG.standard_normal(dims_of(value, sizes)).astype(np.float32)
    if "ends" in feed:
        feed["ends"] = np.full(batch, before + new - 1, np.int32) if ends is None else np.asarray(ends, np.int32)
        feed["total"] = np.array(before + new, np.int32)
    if "keep" in feed:
        feed["keep"] = np.tri(new, before + new, before, dtype=bool)[None, None]
    if "mask" in feed:
        feed["mask"] = np.ones(feed["mask"].shape, np.int32)
    return feed


def caches(model, batch):
    sizes = {"B": batch, "P": 0, "D": SIZE}
    return {value.name: np.zeros(dims_of(value, sizes), np.float32) for value in model.graph.input if value.name.startswith("past")}


def assert_same(model, kept, passed, session, cache, feed):
    names = [value.name for value in model.graph.output]
    expected, actual = passed.session().run({**feed, **cache}, names), session.run(feed, names)
    for name in names:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
    return {name: expected[name.replace("past", "present")] for name in cache}


@pytest.mark.parametrize("batch", [1, 3])
def test_pieces_of_a_text(programs, batch):
    model, kept, passed = programs
    assert [value.name for value in passed.inputs] == [value.name for value in model.graph.input] and not passed.states
    assert len(kept.states) == len(caches(model, batch))
    session, cache, before = kept.session(), caches(model, batch), 0
    for new in PIECES:
        cache = assert_same(model, kept, passed, session, cache, feed_for(model, batch, before, new))
        before += new
    session.reset()
    assert_same(model, kept, passed, session, caches(model, batch), feed_for(model, batch, 0, 4))


def test_entries_of_a_batch_that_end_at_different_positions(programs):
    """Padded behind their ends in the first run; every later row stands where its entry ends."""
    model, kept, passed = programs
    if "ends" not in [value.name for value in model.graph.input]:
        pytest.skip("its entries have no ends of their own")
    lengths = np.array([2, 7, 5])
    session = kept.session()
    feed = feed_for(model, 3, 0, 9)  # what the session held before must not be seen again
    session.run(feed)
    session.reset()
    cache = assert_same(model, kept, passed, session, caches(model, 3), feed_for(model, 3, 0, 7, lengths - 1))
    for step in range(4):
        cache = assert_same(model, kept, passed, session, cache, feed_for(model, 3, 7 + step, 1, lengths + step))


def test_a_total_length_that_is_not_past_and_new_is_an_error(tmp_path):
    model = grouped()
    session = qcc.load(compiled(model, tmp_path)).session()
    feed = feed_for(model, 1, 0, 4)
    feed["total"] += 1
    with pytest.raises(qcc.RunError, match="node .y.: its inputs"):
        session.run(feed)
