"""Runs kernels in ptxemu from Python: NumPy arrays in, what the kernel left in them and the findings out."""
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build")) / "bin" / "ptxemu"


@dataclass
class TensorMap:
    """A tensor map of an array; the box has the innermost dimension first."""
    array: np.ndarray
    box: tuple
    swizzle: int = 0
    type: str = ""


@dataclass
class Result:
    arrays: list
    findings: list  # lines
    output: str


def plain(array):
    """NumPy writes no names for types such as bfloat16: their bits go instead."""
    return array if array.dtype.isbuiltin == 1 else array.view(f"u{array.dtype.itemsize}")


def emulate(ptx, kernel, grid, block, arguments, shared=0, cluster=(), seeds=1, seed=1, options=()):
    """Arguments: arrays (written in place), TensorMaps, ints, floats; one for each parameter, the last may be missing."""
    with tempfile.TemporaryDirectory() as folder:
        text, before, after = (Path(folder) / name for name in ("kernel.ptx", "in.npz", "out.npz"))
        text.write_text(ptx)
        arrays, words = {}, []

        def name(array):
            for known, other in arrays.items():
                if other is array:
                    return known
            arrays[f"a{len(arrays)}"] = array
            return f"a{len(arrays) - 1}"

        for argument in arguments:
            if isinstance(argument, TensorMap):
                box = "x".join(map(str, argument.box))
                words.append(f"map:{name(argument.array)}:{box}:{argument.swizzle}" + (f":{argument.type}" if argument.type else ""))
            elif isinstance(argument, np.ndarray):
                words.append(f"ptr:{name(argument)}")
            elif isinstance(argument, float):
                words.append(f"f32:{argument!r}")
            else:
                words.append(f"i64:{int(argument)}")
        np.savez(before, **{key: plain(array) for key, array in arrays.items()})
        extent = lambda values: ",".join(map(str, values))
        command = [TOOL, text, f"--kernel={kernel}", f"--grid={extent(grid)}", f"--block={extent(block)}", f"--in={before}", f"--out={after}",
                   f"--shared={shared}", f"--seeds={seeds}", f"--seed={seed}", *options, *words]
        if cluster:
            command.insert(2, f"--cluster={extent(cluster)}")
        run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
        if run.returncode not in (0, 1):
            raise ValueError(run.stderr.strip())
        with np.load(after) as written:
            for key, array in arrays.items():
                array[...] = written[key].view(array.dtype) if written[key].dtype != array.dtype else written[key]
        findings = [line for line in run.stdout.splitlines() if re.match(r"[a-z0-9-]+: .*\[kernel ", line)]
        return Result(list(arrays.values()), findings, run.stdout)
