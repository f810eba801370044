"""Branches of an If that give tensors of different ranks."""
import subprocess

import numpy as np
import pytest
from small_models import BUILD, compiled, parse, qcc, run

SQUEEZE = """g (float[b,n] x) => (float[b] y) {
    last = Constant<value_ints = [1]>() one = Constant<value = int64[1] {1}>() all = Shape(x) length = Gather<axis = 0>(all, last) is_one = Equal(length, one)
    squeezed = If (is_one) <then_branch = g () => (float[b] t) { t = Squeeze(x, last) }, else_branch = g () => (float[b,n] e) { e = Identity(x) }>
    y = Relu(squeezed) }"""


def test_a_dimension_that_vanishes_if_it_is_1(tmp_path):
    """As torch exports squeeze of a length that it does not know: the program is made for the length 1, and says so of others."""
    model, x = parse(SQUEEZE), np.array([[-1.0], [2.0], [3.0]], np.float32)
    assert np.array_equal(run(model, tmp_path, x=x)[0], [0, 2, 3])
    np.savez(tmp_path / "in.npz", x=np.zeros((3, 2), np.float32))
    done = subprocess.run([BUILD / "bin/qcc-run", compiled(model, tmp_path), f"--in={tmp_path / 'in.npz'}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "node 't'" in done.stderr + done.stdout, done.stderr


@pytest.mark.parametrize("condition", ["is_one = Less(length, one)", "flag = ReduceMax<keepdims = 0>(x) is_one = Cast<to = 9>(flag)"])
def test_other_conditions_are_not_taken_to_hold(condition, tmp_path):
    done = qcc(parse(SQUEEZE.replace("is_one = Equal(length, one)", condition)), tmp_path, "-o", tmp_path / "model.qcc")
    assert done.returncode == 2 and "another rank" in done.stderr
