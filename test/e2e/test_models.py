"""Every real model, in float32, gives ONNX Runtime's outputs on every golden, for this machine and for plain x86-64-v2."""
from pathlib import Path

import pytest
from models import MODELS, TARGETS

LINES = Path(__file__).with_name("expected_failures.txt").read_text().splitlines()
EXPECTED_FAILURES = dict(line.split(": ", 1) for line in LINES if line and not line.startswith("#"))


def test_expected_failures_name_models():
    assert set(EXPECTED_FAILURES) <= {model.name for model in MODELS}


def cases():
    for model in MODELS:
        marks = [pytest.mark.xfail(strict=True, reason=EXPECTED_FAILURES[model.name])] if model.name in EXPECTED_FAILURES else []
        for target in TARGETS:
            yield pytest.param(model, target, id=f"{model.name}-{target}", marks=marks)


@pytest.mark.parametrize("model, target", cases())
def test_matches_the_golden(model, target, shared, program, tmp_path):
    artifact = tmp_path / "model.qcc"
    compiled = program("qcc", shared / model.file, "--fmt=float32", f"--target={target}", "-o", artifact)
    assert compiled.returncode == 0, compiled.stderr
    goldens = [f"--golden={shared / golden}" for golden in model.goldens]
    compared = program("qcc-run", artifact, *goldens, f"--tolerance={model.tolerance}")
    assert compared.returncode == 0, compared.stdout + compared.stderr


@pytest.mark.parametrize("name", ["resnet20_cifar10", "stories260K", "genai-llama-int4"])
def test_every_state_computes_the_same(name, shared, program):
    model = next(model for model in MODELS if model.name == name)
    checked = program("qcc", shared / model.file, "--fmt=int8-g32", f"--check-states={shared / model.goldens[0]}")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(checked.stdout.splitlines()) == 4
