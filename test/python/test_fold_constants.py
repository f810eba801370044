"""Nodes of constants are computed at compile time, unless what they compute hangs on the lengths of a run."""
import numpy as np
import pytest

from small_models import canonical, parse, run

TABLE = np.arange(32, dtype=np.float32).reshape(8, 4) ** 2

# A part of the table that `s`, the number of positions before, selects: of static dimensions, but another for each run.
PARTS = {
    "a row": ("y = Gather(table, s)", lambda s: TABLE[[s]]),
    "the row of a range": (
        "from = Squeeze(s) to = Add(from, step) at = Range(from, to, step) i = Unsqueeze(at, zero) y = Gather(table, i)",
        lambda s: TABLE[[[s]]]),
    "a row from the end": ("i = Neg(s) y = Gather(table, i)", lambda s: TABLE[[-s]]),
    "a column": ("y = Gather <axis = 1> (table, s)", lambda s: TABLE[:, [s]]),
    "a row of what is computed": ("t = Sin(table) i = Gather(t, s) y = Exp(i)", lambda s: np.exp(np.sin(TABLE[[s]]))),
    "rows by a step": ("i = Concat <axis = 0> (zero, s) y = Gather(table, i)", lambda s: TABLE[[0, s]]),
}


def model(rest, inputs, rank):
    y = ", ".join("pqr"[:rank])
    numbers = ", ".join(map(str, TABLE.ravel()))
    return parse(f"""agraph ({inputs}) => (float[{y}] y) <float[8, 4] table = {{{numbers}}}, int64[1] zero = {{0}}, int64 step = {{1}}>
        {{ {rest} }}""")


@pytest.mark.parametrize("name", PARTS)
def test_parts_that_lengths_select_differ_between_runs(name, tmp_path):
    rest, expected = PARTS[name]
    m = model(f"s = Shape <start = 1, end = 2> (past) {rest}", "float[2, n, 3] past", expected(1).ndim)
    for s in (1, 2, 3):
        (y,) = run(m, tmp_path, past=np.zeros((2, s, 3), np.float32))
        assert y.shape == expected(s).shape and np.allclose(y, expected(s), rtol=1e-5)


def test_lengths_out_of_a_constants_range_are_an_error(tmp_path):
    m = model("s = Shape <start = 1, end = 2> (past) y = Gather(table, s)", "float[2, n, 3] past", 2)
    with pytest.raises(AssertionError, match="not what the operator allows"):
        run(m, tmp_path, past=np.zeros((2, 8, 3), np.float32))


def test_an_axis_that_is_an_input_is_read_when_the_program_runs(tmp_path):
    m = model("y = CumSum(table, axis)", "int64 axis", 2)
    for axis in (0, 1, -1):
        (y,) = run(m, tmp_path, axis=np.int64(axis))
        assert np.allclose(y, TABLE.cumsum(axis), rtol=1e-5)


def test_constant_parts_still_become_constants(tmp_path):
    m = model("s = Constant <value_ints = [5]> () i = Gather(table, s) c = CumSum(i, step) y = Add(x, c)", "float[n, 4] x", 2)
    assert canonical(m, tmp_path)[0] == ["Add"]
    x = np.ones((3, 4), np.float32)
    assert np.allclose(run(m, tmp_path, x=x)[0], x + TABLE[[5]].cumsum(1), rtol=1e-5)
