"""Every real model, in float32, gives ONNX Runtime's outputs on every golden, for this machine and for plain x86-64-v2."""
import numpy as np
import pytest
import qdq_in_float64
from models import MODELS, QUANTIZED, TARGETS


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_matches_the_golden(model, target, shared, program, tmp_path):
    artifact = tmp_path / "model.qcc"
    compiled = program("qcc", shared / model.file, "--fmt=float32", f"--target={target}", "-o", artifact)
    assert compiled.returncode == 0, compiled.stderr
    goldens = [f"--golden={shared / golden}" for golden in model.goldens]
    compared = program("qcc-run", artifact, *goldens, f"--tolerance={model.tolerance}")
    assert compared.returncode == 0, compared.stdout + compared.stderr



@pytest.fixture(scope="module")
def quantized(shared, tmp_path_factory):
    """A golden of the quantized file whose outputs are its float64 evaluation's."""
    inputs = {key[3:]: data for key, data in np.load(shared / QUANTIZED.goldens[0]).items() if key.startswith("in:")}
    outputs = qdq_in_float64.evaluate(shared / QUANTIZED.file, inputs)
    path = tmp_path_factory.mktemp("quantized") / "golden.npz"
    np.savez(path, **{f"in:{name}": data for name, data in inputs.items()}, **{f"out:{name}": data.astype(np.float32) for name, data in outputs.items()})
    return path


@pytest.mark.parametrize("target", TARGETS)
def test_quantized_file_means_what_it_says(target, quantized, shared, program, tmp_path):
    artifact = tmp_path / "model.qcc"
    assert program("qcc", shared / QUANTIZED.file, "--fmt=float32", f"--target={target}", "-o", artifact).returncode == 0
    compared = program("qcc-run", artifact, f"--golden={quantized}", f"--tolerance={QUANTIZED.tolerance}")
    assert compared.returncode == 0, compared.stdout + compared.stderr


def test_float64_evaluation_is_onnx_runtimes_integer_path(quantized, shared):
    """Without optimization ONNX Runtime adds up in float32: seven roundings on its way fall otherwise, 5.6e-2 in the end."""
    onnxruntime = pytest.importorskip("onnxruntime")
    golden = dict(np.load(quantized))
    session = onnxruntime.InferenceSession(shared / QUANTIZED.file, providers=["CPUExecutionProvider"])
    for output, actual in zip(session.get_outputs(), session.run(None, {item.name: golden[f"in:{item.name}"] for item in session.get_inputs()})):
        expected = golden[f"out:{output.name}"]
        assert np.linalg.norm(actual - expected) <= 1e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["resnet20_cifar10", "stories260K", "genai-llama-int4"])
def test_every_state_computes_the_same(name, shared, program):
    model = next(model for model in MODELS if model.name == name)
    checked = program("qcc", shared / model.file, "--fmt=int8-g32", f"--check-states={shared / model.goldens[0]}")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(checked.stdout.splitlines()) == 4
