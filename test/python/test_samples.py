"""Calibration data from text, and the command line that makes it."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qcc import samples

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build"))
MODEL = ROOT / "models/stories260K/model.onnx"
STORY = "Once upon a time, there was a little girl named Lily. She loved to play outside in the sun. One day, she saw a big red ball. "


def test_windows():
    assert samples.parse_windows("32") == (0, 32)
    assert samples.parse_windows("100:132") == (100, 132)
    assert samples.windows_of(range(11), 3, 1, 9).tolist() == [[[3, 4, 5]], [[6, 7, 8]]]
    for text in ("x", "3:3", "0", "-1"):
        with pytest.raises(ValueError):
            samples.parse_windows(text)
    with pytest.raises(ValueError, match="has 3 windows of 3 tokens, window 3 is not among them"):
        samples.windows_of(range(11), 3, 3, 9)


def compile_with(*options):
    return subprocess.run([sys.executable, "-m", "qcc", str(MODEL), *map(str, options)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "QCC_DIR": str(BUILD)})


def test_a_text_measures_the_program(tmp_path):
    text, out = tmp_path / "story.txt", tmp_path / "model.qcc"
    text.write_text(STORY * 4)
    done = compile_with("--fmt=int4-g32", "-o", out, f"--calib={text}", "--calib-ctx=64", "--calib-windows=2", f"--tokenizer={MODEL.parent / 'tokenizer.bin'}")
    assert done.returncode == 0, done.stderr
    report = json.loads(subprocess.run([BUILD / "bin/qcc-inspect", str(out), "--json"], capture_output=True, text=True, check=True).stdout)
    assert report["quality"]["rows"] == 128
    assert 0 < report["quality"]["kld"] < 0.3
    assert 0.7 < report["quality"]["top1"] < 1
    failed = compile_with("--fmt=int4-g32", "-o", tmp_path / "other.qcc", f"--calib={text}", "--calib-ctx=64", "--calib-windows=1", "--fail-if=kld>1e-6")
    assert failed.returncode == 1 and not (tmp_path / "other.qcc").exists()


def test_bad_data_is_an_error(tmp_path):
    assert compile_with("-o", tmp_path / "x.qcc", f"--calib={tmp_path / 'none.txt'}").returncode == 2
    (tmp_path / "short.txt").write_text("Once")
    done = compile_with("-o", tmp_path / "x.qcc", f"--calib={tmp_path / 'short.txt'}")
    assert done.returncode == 2 and "has 0 windows of 512 tokens" in done.stderr
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    done = compile_with("-o", tmp_path / "x.qcc", f"--calib={tmp_path / 'other.npz'}")
    assert done.returncode == 2 and "there is no array 'input_ids'" in done.stderr
