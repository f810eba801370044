"""The benchmarks of GPUs run to their end on the emulated device, and say so where there is no GPU."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from small_models import BUILD

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (BUILD / "lib/libqcc-emulated-cuda.so").exists(), reason="the emulated driver is not built")
SHORT = ["--device=emulate", "--rounds=2", "--runs=1"]
RUNS = {
    "products.py": [*SHORT, "--shapes=16x64x64", "--layers=2", "--target=sm_89"],
    "weights.py": [*SHORT, "--shapes=64x64", "--formats=int4-g32:int8,nf4:bf16", "--batches=1,16", "--layers=2"],
    "decoder.py": [str(ROOT / "models/stories260K"), *SHORT, "--formats=int8", "--prefill=4", "--decode=2", "--graphs"],
}


def run(script, *arguments, path=None):
    environment = {**os.environ, "QCC_DIR": str(BUILD), **({"PATH": path} if path else {})}
    return subprocess.run([sys.executable, ROOT / "benchmarks/gpu" / script, *arguments], capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("script", RUNS)
def test_runs_on_the_emulated_device(script):
    done = run(script, *RUNS[script])
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert len(rows) == {"products.py": 3, "weights.py": 4, "decoder.py": 1}[script]
    assert "emulated device" in done.stdout and "nan" not in done.stdout


@pytest.mark.parametrize("script", RUNS)
def test_says_so_without_a_device(script, tmp_path):
    done = run(script, *[word for word in RUNS[script] if not word.startswith("--device")], path=str(tmp_path))
    assert done.returncode == 0 and done.stdout.startswith("not run here: there is no CUDA device"), done.stdout + done.stderr
