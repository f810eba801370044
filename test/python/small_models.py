"""Models of a few nodes, in ONNX's text form: what canonicalization makes of them, and what they compute."""
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnx.parser

BUILD = Path(os.environ.get("QCC_BUILD_DIR", Path(__file__).resolve().parents[2] / "build"))


def parse(graph, opset=24):
    """The graph `agraph (float[n] x) => (float[n] y) { ... }` as a model."""
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}, "com.microsoft": 1]>\n{graph}')


def qcc(model, folder, *arguments):
    path = Path(folder) / "model.onnx"
    onnx.save(model, path)
    return subprocess.run([str(BUILD / "bin/qcc"), str(path), *map(str, arguments)], capture_output=True, text=True, timeout=300)


def canonical(model, folder):
    """The canonical state: its operators in order, and its text."""
    done = qcc(model, folder, "--emit=canonical", "-o", "-")
    assert done.returncode == 0, done.stderr
    return re.findall(r'onnx\.node "(\w+)"', done.stdout), done.stdout


def compiled(model, folder, *arguments):
    """The artifact's path."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    done = qcc(model, folder, "-o", folder / "model.qcc", *arguments)
    assert done.returncode == 0, done.stderr
    return folder / "model.qcc"


def run(model, folder, *arguments, **inputs):
    """The outputs in the order of the model; for a GPU, from an emulated one."""
    folder = Path(folder)
    compiled(model, folder, *arguments)
    np.savez(folder / "in.npz", **inputs)
    device = ["--device=emulate"] if any(str(argument).startswith("--target=sm_") for argument in arguments) else []
    done = subprocess.run([str(BUILD / "bin/qcc-run"), str(folder / "model.qcc"), f"--in={folder / 'in.npz'}", f"--out={folder / 'out.npz'}", *device],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "out.npz") as outputs:
        return [outputs[value.name] for value in model.graph.output]


def relative_error(actual, expected):
    expected = np.asarray(expected, np.float64)
    return np.linalg.norm(np.asarray(actual, np.float64) - expected) / np.linalg.norm(expected)
