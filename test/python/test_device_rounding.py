"""Norms whose results only linear operations read, computed by the kernels that round them; linear operations of many tokens in float32."""
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from small_models import BUILD

pytestmark = pytest.mark.skipif(not (BUILD / "lib/libqcc-emulated-cuda.so").exists(), reason="the emulated driver is not built")
RNG = np.random.default_rng(5)


def save(path, width, nodes, weights, outputs, domain=""):
    value = lambda name, size: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "tokens", size])
    border = [value(name, width) for name in sorted({name for node in nodes for name in node.input if name.startswith("x")})]
    graph = helper.make_graph(nodes, "rows", border, [value(name, size) for name, size in outputs.items()], [numpy_helper.from_array(array, name) for name, array in weights.items()])
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return [value.name for value in border]


def normal(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def compiled(folder, target, *options):
    artifact = folder / f"{target}.qcc"
    made = subprocess.run([BUILD / "bin/qcc", folder / "model.onnx", f"--target={target}", "--ptxas=none", "-o", artifact, *options], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return artifact


def run(folder, artifact, inputs):
    np.savez(folder / "in.npz", **inputs)
    device = ["--device=emulate"] if artifact.stem.startswith("sm_") else []
    done = subprocess.run([BUILD / "bin/qcc-run", artifact, *device, f"--in={folder / 'in.npz'}", f"--out={folder / 'out.npz'}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / "out.npz"))


def launches(folder, target, *options):
    """The kernels that the program starts, in order."""
    done = subprocess.run([BUILD / "bin/qcc", folder / "model.onnx", f"--target={target}", "--emit=tiled", *options], capture_output=True, text=True)
    return [line.split("@")[1].split("(")[0].split()[0] for line in done.stdout.splitlines() if "tile.launch" in line]


def norm_and_products(folder, width, operator):
    nodes = {"rms": [helper.make_node("RMSNormalization", ["x", "scale"], ["n"])], "layer": [helper.make_node("LayerNormalization", ["x", "scale", "scale"], ["n"])],
             "skip": [helper.make_node("SkipSimplifiedLayerNormalization", ["x", "xx", "scale"], ["n"], domain="com.microsoft")]}[operator]
    nodes += [helper.make_node("MatMul", ["n", "a"], ["p"]), helper.make_node("MatMul", ["n", "b"], ["q"])]
    return save(folder / "model.onnx", width, nodes, {"scale": normal(width), "a": normal(width, 64), "b": normal(width, 48)}, {"p": 64, "q": 48})


@pytest.mark.parametrize("operator", ["rms", "layer", "skip"])
@pytest.mark.parametrize("fmt, act", [("int4-g32", "int8"), ("int8", "int8"), ("fp8", "fp8"), ("nf4", "bf16")])
@pytest.mark.parametrize("target", ["sm_80", "sm_90a"])
def test_norms_are_rounded_where_they_are_computed(operator, fmt, act, target, tmp_path):
    act = "f32" if act == "fp8" and target == "sm_80" else act
    for width in (72, 576) if operator == "rms" else (72,):  # the first with a short last block
        names = norm_and_products(tmp_path, width, operator)
        options = (f"--fmt={fmt}", f"--head-fmt={fmt}", f"--act={act}")
        started = launches(tmp_path, target, *options)
        if act != "f32":
            assert any(name.endswith("_rounded") for name in started) and not any("round_activations" in name for name in started), started
        ours, reference = compiled(tmp_path, target, *options), compiled(tmp_path, "x86-64-v2", *options)
        for tokens in (3, 21):
            inputs = {name: normal(2, tokens, width) for name in names}
            for (name, y), wanted in zip(run(tmp_path, ours, inputs).items(), run(tmp_path, reference, inputs).values()):
                # A last bit of a norm can move the code of an element; weights of nf4 are rounded to bfloat16 on the GPU.
                assert np.linalg.norm(y - wanted) <= 1e-2 * np.linalg.norm(wanted), (name, tokens, width)


def test_a_norm_that_something_else_reads_is_written(tmp_path):
    nodes = [helper.make_node("RMSNormalization", ["x", "scale"], ["n"]), helper.make_node("MatMul", ["n", "a"], ["p"]), helper.make_node("Exp", ["n"], ["q"])]
    save(tmp_path / "model.onnx", 96, nodes, {"scale": normal(96), "a": normal(96, 64)}, {"p": 64, "q": 96})
    started = launches(tmp_path, "sm_80", "--fmt=int8", "--head-fmt=int8", "--act=int8")
    assert "kernel_rmsnormalization" in started and "kernel_round_activations" in started


@pytest.mark.parametrize("fmt", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("depth, columns", [(96, 80), (137, 21)])
def test_many_tokens_in_float32(fmt, depth, columns, tmp_path):
    save(tmp_path / "model.onnx", depth, [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Relu", ["m"], ["y"])], {"w": normal(depth, columns)}, {"y": columns})
    options = (f"--fmt={fmt}", f"--head-fmt={fmt}", "--act=f32")
    assert any(name.endswith("_tiles") for name in launches(tmp_path, "sm_80", *options))
    ours, reference = compiled(tmp_path, "sm_80", *options), compiled(tmp_path, "x86-64-v2", *options)
    for tokens in (2, 5, 70):
        inputs = {"x": normal(1, tokens, depth)}
        y, wanted = run(tmp_path, ours, inputs)["y"], run(tmp_path, reference, inputs)["y"]
        assert np.linalg.norm(y - wanted) <= 1e-6 * np.linalg.norm(wanted)
