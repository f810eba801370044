"""Tied embeddings: rows looked up in the matrix that the head multiplies with."""
import json
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcc
from qcc import _native

ROWS, COLUMNS = 357, 48  # no multiple of a tile's 16 rows, nor of a block of 32; too large for its transpose to be folded


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    """A model of ids -> (rows of the table, their products with the whole table), and the table."""
    table = np.random.default_rng(5).standard_normal((ROWS, COLUMNS), np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], name="embed"),
        helper.make_node("Transpose", ["table"], ["columns"], perm=[1, 0]),
        helper.make_node("MatMul", ["rows", "columns"], ["logits"], name="head"),
        helper.make_node("Neg", ["rows"], ["negative"]),
    ]
    graph = helper.make_graph(nodes, "tied", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["tokens"])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["tokens", ROWS]),
                               helper.make_tensor_value_info("negative", TensorProto.FLOAT, ["tokens", COLUMNS])], [numpy_helper.from_array(table, "table")])
    path = tmp_path_factory.mktemp("tied") / "tied.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path, table


@pytest.mark.parametrize("target", ["native", "x86-64-v2"])
@pytest.mark.parametrize("fmt, step", [("float32", 0), ("bfloat16", 2**-8), ("int8-g32", 1 / 127), ("int8", 1 / 127), ("int4-g32-asym", 1 / 7), ("nf4", 1 / 6), ("nvfp4", 1 / 4)])
def test_rows_are_what_the_format_decodes(tied, tmp_path, fmt, step, target):
    path, table = tied
    artifact = qcc.compile(path, tmp_path / "tied.qcc", fmt=fmt, head_fmt=fmt, act="f32", target=target)
    ids = np.array([0, 15, 16, 356, -1, -357, 20])
    outputs = qcc.load(artifact)(ids=ids)
    rows = -outputs["negative"]
    assert np.abs(rows - table[ids]).max() <= step * np.abs(table).max() + 1e-7
    # The same codes are multiplied: every row looked up is what the products were made with.
    whole = -qcc.load(artifact)(ids=np.arange(ROWS))["negative"]
    np.testing.assert_allclose(outputs["logits"], rows @ whole.T, rtol=1e-4, atol=1e-4)
    tensors = json.loads(subprocess.run([_native.program("qcc-inspect"), str(artifact), "--json"], capture_output=True, text=True, check=True).stdout)["tensors"]
    assert len(tensors) == 1


def test_a_row_that_is_not_there(tied, tmp_path):
    artifact = qcc.compile(tied[0], tmp_path / "tied.qcc", fmt="int8", head_fmt="int8")
    for row in (ROWS, -ROWS - 1):
        with pytest.raises(qcc.RunError, match="embed"):
            qcc.load(artifact)(ids=np.array([1, row]))
