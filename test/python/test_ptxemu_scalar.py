"""Ordinary C, compiled by LLVM for the host and for PTX: the emulator must compute what the host does."""
import ctypes
import functools
import platform
import re
import shutil
import subprocess

import numpy as np
import pytest
from emulator import ROOT, TOOL, emulate

CLANG = shutil.which("clang-22") or "/usr/lib/llvm-22/bin/clang"
SOURCE = ROOT / "test/gpu/kernels/scalar.c"
pytestmark = pytest.mark.skipif(not TOOL.exists() or not shutil.which(CLANG), reason="needs ptxemu and clang 22")
NATIVE = ["-march=x86-64-v3"] if platform.machine() == "x86_64" else []
COUNT = 500
VARIANTS = [("-O2", "sm_75", "ptx70"), ("-O2", "sm_90", "ptx80"), ("-O2", "sm_100", "ptx87"), ("-O0", "sm_90", "ptx80")]
KERNELS = re.findall(r"^K\(\s*(\w+),", SOURCE.read_text(), re.M)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    library = tmp_path_factory.mktemp("scalar") / "scalar.so"
    subprocess.run([CLANG, "-O1", *NATIVE, "-ffp-contract=off", "-fno-builtin", "-w", "-shared", "-fPIC", SOURCE, "-o", library, "-lm"], check=True)
    return ctypes.CDLL(str(library))


@functools.lru_cache(None)
def compiled(level, architecture, version):
    command = [CLANG, "--target=nvptx64-nvidia-cuda", f"-march={architecture}", "-Xclang", "-target-feature", "-Xclang", f"+{version}",
               "-ffp-contract=off", "-w", level, "-S", "-nogpulib", "-o", "-", SOURCE]
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def patterns(random):
    """Integers of every size, floats of every type, and what is special to them."""
    wide = random.integers(0, 2**64, COUNT, dtype=np.uint64)
    short = random.integers(0, 2**64, COUNT, dtype=np.uint64) >> random.integers(0, 64, COUNT, dtype=np.uint64)
    reals = random.standard_normal(COUNT) * 10.0 ** random.integers(-6, 10, COUNT)
    halves = (random.standard_normal(COUNT) * 8).astype(np.float16).view(np.uint16).astype(np.uint64)
    special = np.array([0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 1 << 63, (1 << 63) - 1, 2**64 - 1,
                        0x3f800000, 0x7ff0000000000000, 0x7ff8000000000000, 0x7c00, 0xfc00, 0x8000, 0x3c00, 0x00800000, 0x007fffff], np.uint64)
    return np.choose(random.integers(0, 6, COUNT), [wide, short, reals.astype(np.float32).view(np.uint32).astype(np.uint64), reals.view(np.uint64),
                                                    halves | halves << np.uint64(16), special[random.integers(0, len(special), COUNT)]])


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
@pytest.mark.parametrize("kernel", KERNELS)
def test_as_on_the_host(host, kernel, variant):
    random = np.random.default_rng(1)
    a, b, c = (patterns(random) for _ in "abc")
    wanted, got = np.zeros(COUNT, np.uint64), np.zeros(COUNT, np.uint64)
    address = lambda array: array.ctypes.data_as(ctypes.c_void_p)
    getattr(host, kernel)(address(a), address(b), address(c), address(wanted), COUNT)
    run = emulate(compiled(*variant), kernel, [4], [128], [a, b, c, got, COUNT])
    assert run.findings == []
    wrong = np.nonzero(got != wanted)[0]
    assert len(wrong) == 0, [tuple(hex(x[i]) for x in (a, b, c, wanted, got)) for i in wrong[:3]]
