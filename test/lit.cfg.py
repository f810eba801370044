"""lit: RUN lines find qcc's programs and LLVM's test tools (FileCheck, split-file, not) in PATH.

QCC_TEST_ROUNDTRIP=1 turns the suite into a print/parse round-trip suite: every qcc-opt also parses what it printed and compares.
"""
import os
import pathlib
import shutil

import lit.formats

config.name = "qcc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "unit", "e2e", "conformance", "python", "dev"]
config.test_source_root = os.path.join(config.qcc_source_dir, "test")
config.test_exec_root = os.path.join(config.qcc_binary_dir, "test")

config.environment["PATH"] = os.pathsep.join([os.path.join(config.qcc_binary_dir, "bin"), config.llvm_tools_dir, os.environ["PATH"]])
venv_python = os.path.join(config.qcc_source_dir, ".venv", "bin", "python")
shared_data = pathlib.Path(config.qcc_source_dir).parent / "shared" / "data"

config.substitutions += [
    ("%python", venv_python if os.path.exists(venv_python) else "python3"),
    ("%models", os.path.join(config.qcc_source_dir, "models")),
    ("%shared-data", str(shared_data)),
]
if os.environ.get("QCC_TEST_ROUNDTRIP") == "1":
    config.substitutions.append((r"(?<![\w./-])qcc-opt(?![\w.-])", "qcc-opt --verify-roundtrip"))

if shared_data.is_dir():
    config.available_features.add("shared-data")
cpuinfo = pathlib.Path("/proc/cpuinfo")
if cpuinfo.exists() and {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= set(cpuinfo.read_text().split()):
    config.available_features.add("avx512")
if shutil.which("qemu-aarch64") and os.path.isdir("/usr/aarch64-linux-gnu"):
    config.available_features.add("qemu-aarch64")
