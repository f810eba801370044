"""The CMake package, from the build folder and installed: test/package is configured, built and run; what changes is built again."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import qcc

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build"))
STORIES = ROOT / "models" / "stories260K"
SHIFT, X = np.array([0.5, 0, -0.5], np.float32), np.arange(8, dtype=np.float32).reshape(2, 4)


def run(*command, status=0):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, f"{command}: status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def weight(scale=1):
    return (np.arange(12, dtype=np.float32).reshape(4, 3) % 5 - 2) * np.float32(scale)


def write_data(models, scale=1):
    """The weight, and what the model says with it."""
    (models / "tiny data.bin").write_bytes(weight(scale).tobytes())
    y = X @ weight(scale) + SHIFT
    np.savez(models / "tiny.npz", **{"in:x": X, "in:shift.1": SHIFT, "out:y": y, "out:class": y.argmax(1)})
    return y


def write_model(models):
    tensor = numpy_helper.from_array(weight(), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="tiny data.bin")
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("MatMul", ["x", "w"], ["t"]), helper.make_node("Add", ["t", "shift.1"], ["y"]),
             helper.make_node("ArgMax", ["y"], ["class"], axis=1, keepdims=0)]
    graph = helper.make_graph(nodes, "tiny", [value("x", TensorProto.FLOAT, ["n", 4]), value("shift.1", TensorProto.FLOAT, [3])],
                              [value("y", TensorProto.FLOAT, ["n", 3]), value("class", TensorProto.INT64, ["n"])], [tensor])
    (models / "tiny.onnx").write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())
    np.savez(models / "calib.npz", **{"x": X[None], "shift.1": SHIFT[None]})


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "the models"
    folder.mkdir()
    write_model(folder)
    write_data(folder)
    return folder


def configure(models, build, *options, generator="Ninja"):
    return run("cmake", "-S", ROOT / "test/package", "-B", build, "-G", generator, f"-DMODELS={models}", f"-DSTORIES={STORIES}",
               *options)


def said(y):
    return f"2 x 3: {' '.join(f'{v:g}' for v in y.flat)}\nclasses: {' '.join(map(str, y.argmax(1)))}\ninput 'x' has 8 elements, but its dimensions ask for 12\n"


def test_build_folder(models, tmp_path):
    build = tmp_path / "build"
    configure(models, build, f"-Dqcc_DIR={BUILD}/lib/cmake/qcc")
    run("cmake", "--build", build)
    for link in ("file", "embed", "static", "shared"):
        assert run(build / f"use_{link}") == said(X @ weight() + SHIFT)
    told = run(build / "tell").split("\n")
    assert len(told[0].split()) == 12 and told[1] == "12 10"
    assert "0 tests failed out of 9" in run("ctest", "--test-dir", build)
    plan = json.loads((build / "stories.plan.json").read_text())
    assert plan["artifact_bytes"] == (build / "stories.qcc").stat().st_size and plan["linears"]

    # Nothing is left to do; then everything that a model is made of makes it anew.
    assert "no work to do" in run("cmake", "--build", build)
    y = write_data(models, scale=3)
    out = run("cmake", "--build", build)
    assert out.count("Compiling the model tiny") == 4 and "stories" not in out
    assert "tiny.cpp" not in out, "the header is the same"
    assert run(build / "use_embed") == run(build / "use_file") == run(build / "use_shared") == said(y)
    run("ctest", "--test-dir", build)
    os.utime(models / "calib.npz")
    assert run("cmake", "--build", build).count("Compiling the model tiny") == 1
    os.utime(models / "tiny.onnx")
    assert run("cmake", "--build", build).count("Compiling the model tiny") == 4

    # The tests notice an artifact that is not what was built, and one that computes something else.
    write_data(models, scale=5)
    assert "tiny-file.golden" in run("ctest", "--test-dir", build, "-R", "file", status=8)
    damaged = bytearray((build / "tiny-file.qcc").read_bytes())
    damaged[200] ^= 1
    (build / "tiny-file.qcc").write_bytes(damaged)
    assert "tiny-file.verify" in run("ctest", "--test-dir", build, "-R", "file.verify", status=8)


def test_installed(models, tmp_path):
    prefix, build = tmp_path / "prefix", tmp_path / "build"
    run("cmake", "--install", BUILD, "--prefix", prefix)
    moved = tmp_path / "elsewhere"
    prefix.rename(moved)
    configure(models, build, f"-DCMAKE_PREFIX_PATH={moved}", generator="Unix Makefiles")
    run("cmake", "--build", build, "--target", "use_file", "use_static")
    assert f"{moved}/bin/qcc" in (build / "CMakeCache.txt").read_text()
    assert run(build / "use_file") == run(build / "use_static") == said(X @ weight() + SHIFT)
    y = write_data(models, scale=2)
    run("cmake", "--build", build, "--target", "use_file", "use_static")
    assert run(build / "use_file") == run(build / "use_static") == said(y)

    environment = {name: value for name, value in os.environ.items() if name != "QCC_DIR"}
    script = f"import qcc; print(qcc.load(qcc.compile({str(models / 'tiny.onnx')!r})).outputs[0].name, qcc.__file__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={**environment, "PYTHONPATH": f"{moved}/share/qcc/python"}, cwd=tmp_path)
    assert done.stdout.startswith("y ") and str(moved) in done.stdout, done.stderr
    assert "usage" in run("env", f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}", moved / "bin/qcc-eval", "--help")


@pytest.mark.skipif(not shutil.which("aarch64-linux-gnu-gcc"), reason="needs a cross compiler")
def test_cross_compilation(models, tmp_path):
    """The host's compiler makes the machine's code; without a runtime for the machine, artifacts can still be made. Here in a project of C alone."""
    (tmp_path / "CMakeLists.txt").write_text(f"""cmake_minimum_required(VERSION 3.20)
        project(p LANGUAGES C)
        find_package(qcc REQUIRED)
        qcc_add_model(tiny MODEL "{models}/tiny.onnx" LINK embed)""")
    run_cmake = ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-Dqcc_DIR={BUILD}/lib/cmake/qcc", "-DCMAKE_SYSTEM_NAME=Linux",
                 "-DCMAKE_SYSTEM_PROCESSOR=aarch64", "-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc"]
    assert "no runtime for aarch64: set QCC_RUNTIME_DIR" in " ".join(run(*run_cmake).split())
    run("cmake", "--build", tmp_path / "build")
    assert "\n  aarch64 " in run(BUILD / "bin/qcc-inspect", tmp_path / "build/tiny.qcc")
    made = next((tmp_path / "build").rglob("*.o")).read_bytes()
    assert (tmp_path / "build/tiny.qcc").read_bytes() in made and made[18] == 183, "ELF's machine is AArch64"


@pytest.mark.parametrize("call, message", [
    ("m FMT int8", "MODEL is missing"), ("m MODEL a.onnx FMT int8 RECIPE r", "FMT and RECIPE exclude each other"),
    ("m MODEL a.onnx LINK magic", "LINK magic: there are file, embed, static and shared"), ("m MODEL a.onnx FROM x", "unknown arguments: FROM;x"),
])
def test_what_cannot_be_is_said(tmp_path, call, message):
    (tmp_path / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.20)\nproject(p LANGUAGES NONE)\nfind_package(qcc REQUIRED)\nqcc_add_model({call})\n")
    assert message in run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-Dqcc_DIR={BUILD}/lib/cmake/qcc", status=1)


def test_names_of_values_in_the_header(tmp_path):
    """Names that C++ has no use for, and two that would be one."""
    names = ["class", "a.b", "a_b", "/model/x", "1", 'q"\\;', "é"]
    value = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node("Sum", names, ["int"])], "g", [value(n, TensorProto.FLOAT, []) for n in names], [value("int", TensorProto.FLOAT, [])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    qcc.compile(tmp_path / "m.onnx", tmp_path / "m.qcc")
    run("cmake", f"-DQCC_INSPECT={BUILD}/bin/qcc-inspect", f"-DARTIFACT={tmp_path}/m.qcc", f"-DHEADER={tmp_path}/m.h", "-DNAME=m", "-DNAMESPACE=m", "-DSYMBOL=",
        "-P", BUILD / "lib/cmake/qcc/QccModelHeader.cmake")
    (tmp_path / "m.cpp").write_text('#include "m.h"\n#include <cstdio>\nint main() {\n  const float x[] = {1.5f};\n'
                                    '  std::printf("%g %s", m::open().session().run({x, x, x, x, x, x, x}).int_[0], m::in::q::name);\n}\n')
    run("c++", "-std=c++17", "-Wall", "-Werror", f"-I{ROOT}/include", tmp_path / "m.cpp", "-o", tmp_path / "m", f"-L{BUILD}/lib", "-lqcc", f"-Wl,-rpath,{BUILD}/lib")
    assert run(tmp_path / "m") == '10.5 q"\\;'
