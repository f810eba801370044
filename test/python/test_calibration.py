"""Calibration: what bad data says, a cache that makes interrupted runs go on, scales that become part of the weights before."""
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build")) / "bin"
STORIES = ROOT / "models/stories260K/model.onnx"


def qcc(*options, **more):
    return subprocess.run([str(BIN / "qcc"), *map(str, options)], capture_output=True, text=True, timeout=300, **more)


def chain(path, nodes, weights, width=64):
    """A model of x [tokens, width] whose constants are named in `weights`."""
    graph = helper.make_graph(nodes, "chain", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", width])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["tokens", width])],
                              [numpy_helper.from_array(array, name) for name, array in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """gate and up read x, their activated product is read by down."""
    rng = np.random.default_rng(5)
    node = helper.make_node
    nodes = [node("MatMul", ["x", "wg"], ["g"]), node("Sigmoid", ["g"], ["s"]), node("MatMul", ["x", "wu"], ["u"], name="up"), node("Mul", ["s", "u"], ["p"]),
             node("MatMul", ["p", "wd"], ["y"], name="down")]
    return chain(tmp_path_factory.mktemp("gated") / "gated.onnx", nodes,
                 {name: rng.standard_normal((64, 64)).astype(np.float32) for name in ("wg", "wu", "wd")})


def data(tmp_path, x):
    np.savez(tmp_path / "data.npz", x=x)
    return f"--calib={tmp_path / 'data.npz'}"


def normal(*shape):
    return np.random.default_rng(9).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("x, message", [
    (np.where(normal(2, 8, 64) > 2, np.nan, normal(2, 8, 64)).astype(np.float32), "holds infinities or NaNs"),
    (normal(2, 8, 63), "63"),
    (np.zeros((0, 8, 64), np.float32), "hold no sample"),
    (np.zeros((2, 0, 64), np.float32), "no token"),
    (np.zeros((2, 8, 64), np.float32), "zero"),
])
def test_bad_data_are_errors(gated, tmp_path, x, message):
    done = qcc(gated, "--fmt=int4-g32", "--head-fmt=int4-g32", "--method=gptq", data(tmp_path, x), "-o", tmp_path / "x.qcc")
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not (tmp_path / "x.qcc").exists()


def test_a_singular_covariance_is_damped(gated, tmp_path):
    """One token tells of one direction: the rest is what damping leaves of it."""
    done = qcc(gated, "--fmt=int4-g32", "--head-fmt=int4-g32", "--method=gptq", data(tmp_path, normal(1, 1, 64)), "--fail-if=outputs.y>0.05", "-o", tmp_path / "x.qcc")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", ["gptq", "awq+gptq", "awq+clip", "signround", "importance", "smoothquant"])
def test_dead_channels_are_rounded_to_nearest(gated, tmp_path, method):
    x = normal(2, 96, 64)
    x[..., ::3] = 0
    done = qcc(gated, "--fmt=int4-g32", "--head-fmt=int4-g32", f"--method={method}", data(tmp_path, x), "--fail-if=outputs.y>0.3", "-o", tmp_path / "x.qcc")
    assert done.returncode == 0, done.stderr


def test_a_product_takes_its_scales_into_what_makes_it(gated, tmp_path):
    done = qcc(gated, "--fmt=float32", "--method=smoothquant", data(tmp_path, normal(2, 96, 64) * np.linspace(0.1, 9, 64, dtype=np.float32)),
               "--fail-if=outputs.y>1e-5", "--emit=quantized", "-o", "-")
    assert done.returncode == 0, done.stderr
    assert "1 inputs of linear operations are scaled when the program runs" in done.stderr  # x itself
    assert done.stdout.count('onnx.node "Mul"') == 2  # that of x, and the model's own


def test_many_values_stand_on_disk(gated, tmp_path):
    """More values between operations than are kept in memory give the same program."""
    x = normal(2, 90000, 64)
    options = [gated, "--fmt=int4-g32", "--head-fmt=int4-g32", "--method=gptq", "--emit=quantized"]
    done = qcc(*options, data(tmp_path, x), "-o", tmp_path / "many.mlirbc")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "many.mlirbc").stat().st_size > 0


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    np.savez(folder / "tokens.npz", input_ids=np.random.default_rng(1).integers(3, 512, (4, 1, 96)))
    options = [STORIES, "--fmt=int4-g32", "--method=awq+gptq", f"--calib={folder / 'tokens.npz'}"]
    done = qcc(*options, "-o", folder / "x.qcc")
    assert done.returncode == 0, done.stderr
    return options, (folder / "x.qcc").read_bytes()


def test_one_thread_or_two(uninterrupted, tmp_path):
    options, expected = uninterrupted
    done = qcc(*options, "-o", tmp_path / "x.qcc", preexec_fn=lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.qcc").read_bytes() == expected


def test_a_run_that_was_killed_goes_on(uninterrupted, tmp_path):
    options, expected = uninterrupted
    command = [str(BIN / "qcc"), *map(str, options), f"--calib-cache={tmp_path / 'cache'}", "-o", str(tmp_path / "x.qcc")]
    random.seed(3)
    for _ in range(5):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0.5, 3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        (tmp_path / "x.qcc").unlink(missing_ok=True)
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    assert (tmp_path / "x.qcc").read_bytes() == expected
    # Another target takes nothing but what is known.
    files = sorted((tmp_path / "cache").glob("*.npz"))
    assert qcc(*options, f"--calib-cache={tmp_path / 'cache'}", "--target=x86-64-v2", "-o", tmp_path / "y.qcc").returncode == 0
    assert sorted((tmp_path / "cache").glob("*.npz")) == files
    # A file that somebody has changed is found out.
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "is damaged" in done.stderr
    assert (tmp_path / "x.qcc").read_bytes() == expected


def test_methods_that_do_not_go_together():
    for method, message in [("clip+hqq", "'clip' chooses scales for a step that rounds with them, which 'hqq' does not"),
                            ("gptq+awq", "'gptq' rounds: no step can follow it")]:
        done = qcc(STORIES, "--fmt=int4-g32", f"--method={method}", "--print-plan")
        assert done.returncode == 2 and message in done.stderr
