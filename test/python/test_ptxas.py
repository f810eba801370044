"""Compiled kernels in artifacts, made by NVIDIA's assembler where there is one; here mostly by scripts in its place."""
import os
import stat
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from small_models import BUILD, parse

MODEL = "agraph (float[n] x) => (float[n] y) { y = Exp (x) }"
TOOLKIT = Path("/usr/local/cuda/bin/ptxas")


def compile_with(folder, *arguments, path=""):
    onnx.save(parse(MODEL), folder / "model.onnx")
    return subprocess.run([BUILD / "bin/qcc", folder / "model.onnx", "--target=sm_80", "-o", folder / "model.qcc", *arguments], capture_output=True, text=True,
                          env={**os.environ, "PATH": f"{path}:/usr/bin:/bin"})


def assembler(folder, release, body='for last; do :; done; printf "compiled" > "$last"'):
    """A program that says it is of a release, and writes its last argument's file otherwise."""
    path = folder / "ptxas"
    path.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "Cuda compilation tools, release {release}, V{release}.1"; exit; fi\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def parts(folder):
    with zipfile.ZipFile(folder / "model.qcc") as artifact:
        return {name: artifact.read(name) for name in artifact.namelist()}


def test_compiled_kernels_stand_before_the_text_and_emulation_takes_that(tmp_path):
    assert compile_with(tmp_path, path=assembler(tmp_path, "13.0").parent).returncode == 0
    names = [name for name in parts(tmp_path) if name.startswith("code/")]
    assert names == ["code/sm_80.so", "code/sm_80.cubin", "code/sm_80.ptx"] and parts(tmp_path)["code/sm_80.cubin"] == b"compiled"
    x = np.arange(5, dtype=np.float32)
    np.savez(tmp_path / "in.npz", x=x)
    run = subprocess.run([BUILD / "bin/qcc-run", tmp_path / "model.qcc", "--device=emulate", f"--in={tmp_path / 'in.npz'}", f"--out={tmp_path / 'out.npz'}"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert np.allclose(np.load(tmp_path / "out.npz")["y"], np.exp(x))


def test_does_without(tmp_path):
    assert compile_with(tmp_path, "--ptxas=none", path=assembler(tmp_path, "13.0").parent).returncode == 0
    assert not any(name.endswith(".cubin") for name in parts(tmp_path))
    done = compile_with(tmp_path, "--ptxas=none", "--emit=cubin")
    assert done.returncode == 2 and "--emit=cubin needs NVIDIA's assembler: --ptxas=PATH" in done.stderr


def test_too_old(tmp_path):
    path = assembler(tmp_path, "10.2")
    done = compile_with(tmp_path, path=path.parent)
    assert done.returncode == 0 and "is of CUDA 10.2; PTX 7.0 needs 11.0; the kernels of sm_80 are left as PTX" in done.stderr
    assert not any(name.endswith(".cubin") for name in parts(tmp_path))
    done = compile_with(tmp_path, f"--ptxas={path}")
    assert done.returncode == 2 and "is of CUDA 10.2; PTX 7.0 needs 11.0" in done.stderr


@pytest.mark.parametrize("option, text", [("/no/such/ptxas", "was not found; --ptxas=none does without"), ("/bin/echo", "says no version")])
def test_not_an_assembler(option, text, tmp_path):
    done = compile_with(tmp_path, f"--ptxas={option}")
    assert done.returncode == 2 and text in done.stderr


def test_what_the_assembler_says_is_the_error(tmp_path):
    done = compile_with(tmp_path, path=assembler(tmp_path, "13.0", "echo 'ptxas fatal : no registers left' >&2; exit 255").parent)
    assert done.returncode == 2 and "failed: ptxas fatal : no registers left" in done.stderr and not (tmp_path / "model.qcc").exists()


def test_emits_compiled_kernels_alone(tmp_path):
    path = assembler(tmp_path, "13.0")
    assert compile_with(tmp_path, "--emit=cubin", f"--ptxas={path}").returncode == 0
    assert (tmp_path / "model.qcc").read_bytes() == b"compiled"
    done = compile_with(tmp_path, "--emit=cubin", "--target=x86-64-v2", f"--ptxas={path}")
    assert done.returncode == 2


@pytest.mark.skipif(not TOOLKIT.exists(), reason="needs ptxas")
def test_the_same_bytes_each_time(tmp_path):
    made = []
    for _ in range(2):
        assert compile_with(tmp_path, f"--ptxas={TOOLKIT}").returncode == 0
        made.append((tmp_path / "model.qcc").read_bytes())
    assert made[0] == made[1] and b"\x7fELF" == parts(tmp_path)["code/sm_80.cubin"][:4]
