"""The int32 sums of integer kernels are the same bits on every level of x86 and, emulated, on ARM.

A row of one block has one integer sum, converted to float32 and scaled by one product: equal outputs to the last bit mean equal sums.
"""
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcc
from conftest import ROOT

X86 = ("x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-vnni")
ARM = ("aarch64", "aarch64-dotprod", "aarch64-i8mm")
BLOCKS = {"int8-g32": 32, "int4-g32": 32, "int4-g128": 128, "nf4": 64, "mxfp4": 32, "nvfp4": 16}
ARM_COMPILER, ARM_EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"


def product(folder, inputs):
    """A product of weights and tokens at the ends of their ranges."""
    random = np.random.default_rng(inputs)
    weights = random.choice([-1, -0.9, 0.1, 1], (40, inputs)).astype(np.float32)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "product",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", inputs])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["tokens", 40])],
                              [numpy_helper.from_array(np.ascontiguousarray(weights.T), "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "product.onnx")
    return folder / "product.onnx", random.choice([-1, 1, 0.5, -0.25], (9, inputs)).astype(np.float32)


def outputs(model, x):
    return {tokens: model(x=x[:tokens])["y"] for tokens in (1, 2, 9)}


@pytest.mark.parametrize("name", BLOCKS)
def test_x86(name, tmp_path):
    path, x = product(tmp_path, BLOCKS[name])
    results = {}
    for target in X86:
        artifact = qcc.compile(path, tmp_path / f"{target}.qcc", fmt=name, head_fmt=name, act="int8", target=target)
        try:
            results[target] = outputs(qcc.load(artifact), x)
        except qcc.RunError:
            continue  # this machine is below the level
    assert len(results) > 1
    first = results.pop(X86[0])
    for target, other in results.items():
        for tokens in first:
            assert first[tokens].tobytes() == other[tokens].tobytes(), f"{target}, {tokens} tokens"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    if not shutil.which(ARM_COMPILER) or not shutil.which(ARM_EMULATOR):
        pytest.skip(f"needs {ARM_COMPILER} and {ARM_EMULATOR}; tools/dev/bootstrap installs them")
    program = tmp_path_factory.mktemp("arm") / "driver"
    subprocess.run([ARM_COMPILER, "-O1", f"-I{ROOT / 'include'}", str(Path(__file__).with_name("levels") / "driver.c"), "-o", str(program), "-ldl", "-lm"],
                   check=True)
    return program


@pytest.mark.parametrize("name", BLOCKS)
def test_arm(name, driver, tmp_path):
    path, x = product(tmp_path, BLOCKS[name])
    expected = outputs(qcc.load(qcc.compile(path, tmp_path / "x86.qcc", fmt=name, head_fmt=name, act="int8")), x)
    for target in ARM:
        artifact = qcc.compile(path, tmp_path / f"{target}.qcc", fmt=name, head_fmt=name, act="int8", target=target)
        with zipfile.ZipFile(artifact) as parts:
            weights = parts.read("weights.safetensors")
            (tmp_path / "code.so").write_bytes(parts.read(f"code/{target}.so"))
        (tmp_path / "weights").write_bytes(weights[8 + struct.unpack("<Q", weights[:8])[0]:])
        for tokens, y in expected.items():
            x[:tokens].tofile(tmp_path / "x")
            subprocess.run([ARM_EMULATOR, "-cpu", "max", "-L", "/usr/aarch64-linux-gnu", str(driver), str(tmp_path / "code.so"), str(tmp_path / "weights"),
                            str(tmp_path / "x"), str(tokens), str(x.shape[1]), str(tmp_path / "y"), str(y.nbytes)], check=True)
            assert (tmp_path / "y").read_bytes() == y.tobytes(), f"{target}, {tokens} tokens"
