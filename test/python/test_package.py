"""The Python package on a model of one addition: compile, load, run, errors; and qcc as an onnx.backend."""
import gc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import qcc
import qcc.backend


def addition(folder, op="Add", domain="", width=3):
    value = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node(op, ["left.1", "right"], ["sum"], name="node_1", domain=domain)], "addition",
                              [value("left.1", TensorProto.FLOAT, ["n", width]), value("right", TensorProto.FLOAT, [width])],
                              [value("sum", TensorProto.FLOAT, ["n", width])])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("unknown.domain", 1)]), path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("addition")
    return qcc.load(qcc.compile(addition(folder), fmt="float32"))


LEFT = np.arange(12, dtype=np.float32).reshape(4, 3)
RIGHT = np.array([100, 200, 300], np.float32)


def test_signature(model):
    assert [(value.name, value.dtype, value.dims) for value in model.inputs] == [("left.1", np.float32, ("n", 3)), ("right", np.float32, (3,))]
    assert [value.name for value in model.outputs] == ["sum"]
    assert model.states == [] and model.target and model.manifest["inputs"]


def test_run(model):
    assert np.array_equal(model({"left.1": LEFT}, right=RIGHT)["sum"], LEFT + RIGHT)
    assert np.array_equal(model({"left.1": LEFT[::-1, ::-1]}, right=RIGHT)["sum"], LEFT[::-1, ::-1] + RIGHT)
    assert model({"left.1": LEFT[:0], "right": RIGHT})["sum"].shape == (0, 3)


def test_outputs_outlive_the_session(model):
    session = model.session(threads=2)
    assert session.threads == 2
    outputs = session.run({"left.1": LEFT, "right": RIGHT})
    del session
    gc.collect()
    assert np.array_equal(outputs["sum"], LEFT + RIGHT)


def test_two_models_at_once_run_their_own_code(model, tmp_path):
    wide = qcc.load(qcc.compile(addition(tmp_path, width=5), fmt="float32"))
    assert wide({"left.1": np.ones((2, 5), np.float32), "right": np.arange(5, dtype=np.float32)})["sum"].tolist() == [[1, 2, 3, 4, 5]] * 2
    assert np.array_equal(model({"left.1": LEFT, "right": RIGHT})["sum"], LEFT + RIGHT)


@pytest.mark.parametrize("inputs, message", [
    ({"left.1": LEFT}, "right"),
    ({"left.1": LEFT, "right": RIGHT.astype(np.float64)}, "right"),
    ({"left.1": LEFT, "right": RIGHT[:2]}, "right"),
    ({"left.1": LEFT, "right": RIGHT, "other": RIGHT}, "other"),
])
def test_wrong_inputs_are_named(model, inputs, message):
    with pytest.raises(qcc.RunError, match=message):
        model(inputs)


def test_strings_are_refused(model):
    with pytest.raises(TypeError):
        model({"left.1": LEFT, "right": np.array(["a", "b", "c"])})


def test_what_cannot_be_compiled_is_named(tmp_path):
    with pytest.raises(qcc.CompileError, match="node_1") as raised:
        qcc.compile(addition(tmp_path, "Frobnicate", "unknown.domain"))
    assert raised.value.status == 2
    assert not list(tmp_path.glob("*.qcc"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(qcc.CompileError, match="missing.onnx"):
        qcc.compile(tmp_path / "missing.onnx")
    with pytest.raises(qcc.RunError, match="missing.qcc"):
        qcc.load(tmp_path / "missing.qcc")


def test_backend():
    node = helper.make_node("Add", ["a", "b"], ["c"])
    assert qcc.backend.supports_device("CPU") and not qcc.backend.supports_device("CUDA")
    outputs = qcc.backend.run_node(node, [LEFT, RIGHT], outputs_info=[(np.dtype(np.float32), LEFT.shape)])
    assert np.array_equal(outputs[0], LEFT + RIGHT)


def test_onnx_runs_its_own_tests_through_the_backend():
    import unittest

    from onnx.backend.test import BackendTest
    tests = BackendTest(qcc.backend, __name__).include(r"^test_add(_bcast|_int8)?_cpu$").test_cases["OnnxBackendNodeModelTest"]
    cases = [case for case in unittest.defaultTestLoader.loadTestsFromTestCase(tests)]
    outcome = unittest.TestResult()
    for case in cases:
        case.run(outcome)
    assert not outcome.failures and not outcome.errors
    assert outcome.testsRun - len(outcome.skipped) == 3
