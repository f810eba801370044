"""Programs for GPUs, executed from their PTX by the emulator, which also checks what hardware would punish."""
import subprocess

import numpy as np
import pytest

from conftest import BUILD
from matrix import thinned
from models import MODELS

ARCHITECTURES = ("sm_75", "sm_80", "sm_89", "sm_90a", "sm_100a", "sm_120a")
# Left out here: those that take seconds to emulate.
SLOW = {"mobilenetv2_float", "FastestDet", "ultraface-RFB-320", "magika", "resnet20_cifar10", "ts-squeezenet1_1"}
EVERYWHERE = {"mnist", "dynamo-lstm", "optimum-vit", "genai-llama-int4"}


def emulate(program, artifact, *arguments):
    return program("qcc-run", artifact, "--device=emulate", *arguments)


@pytest.mark.parametrize("model", [m for m in MODELS if m.name not in SLOW], ids=lambda m: m.name)
def test_models_agree_with_their_goldens(model, program, shared, tmp_path):
    artifact = tmp_path / "model.qcc"
    targets = ARCHITECTURES if model.name in EVERYWHERE else ("sm_80",)
    for target in targets:
        made = program("qcc", shared / model.file, f"--target={target}", "-o", artifact)
        assert made.returncode == 0, made.stderr
        for golden in model.goldens:
            done = emulate(program, artifact, f"--golden={shared / golden}", f"--tolerance={model.tolerance}")
            assert done.returncode == 0, f"{target}: {done.stdout}{done.stderr}"


def test_resnet_on_emulated_ampere(program, shared, tmp_path):
    model = next(m for m in MODELS if m.name == "resnet20_cifar10")
    artifact = tmp_path / "model.qcc"
    assert program("qcc", shared / model.file, "--target=sm_80", "-o", artifact).returncode == 0
    done = emulate(program, artifact, f"--golden={shared / model.goldens[0]}", "--tolerance=1e-5")
    assert done.returncode == 0, done.stdout + done.stderr


def check_story(fmt, act, target, program, stories, tmp_path):
    """The emulated GPU writes the text that the processor writes, in the same formats."""
    texts = []
    for name in (target, "x86-64-v2"):
        artifact = tmp_path / f"{name}.qcc"
        made = program("qcc", stories, f"--fmt={fmt}", f"--act={act}", f"--target={name}", "-o", artifact)
        assert made.returncode == 0, made.stderr
        device = "cpu" if name == "x86-64-v2" else "emulate"
        done = program("qcc-run", artifact, f"--device={device}", f"--tokenizer={stories / 'tokenizer.bin'}", "--prompt=Once upon a time", "--max-tokens=20", "--temperature=0")
        assert done.returncode == 0, done.stderr
        texts.append(done.stdout)
    assert len(texts[0]) > 40 and texts[0] == texts[1]


# Formats, and the compute type of both programs.
FORMATS = {"fp8": "fp8", "int8": "int8", "int4-g32": "int8", "nvfp4": "int8"}


@pytest.mark.parametrize("fmt,target", thinned(FORMATS, ARCHITECTURES))
def test_a_story_is_the_same_as_on_the_processor(fmt, target, program, stories, tmp_path):
    check_story(fmt, FORMATS[fmt], target, program, stories, tmp_path)


def save_linear(path, weights):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper
    depth, columns = weights.shape
    value = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["tokens", width])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "linear", [value("x", depth)], [value("y", columns)], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def run_linear(program, folder, target, fmt, act, inputs, seed=1):
    artifact = folder / "linear.qcc"
    made = program("qcc", folder / "linear.onnx", f"--fmt={fmt}", f"--head-fmt={fmt}", f"--act={act}", f"--target={target}", "-o", artifact)
    assert made.returncode == 0, made.stderr
    results = []
    for x in inputs:
        np.savez(folder / "in.npz", x=x)
        command = [str(BUILD / "bin/qcc-run"), str(artifact), f"--in={folder / 'in.npz'}", f"--out={folder / 'out.npz'}", *(["--device=emulate"] if target.startswith("sm_") else [])]
        done = subprocess.run(command, capture_output=True, text=True, env={"QCC_EMULATED_SEED": str(seed), "PATH": "/usr/bin:/bin"}, timeout=120)
        assert done.returncode == 0, done.stderr
        results.append(np.load(folder / "out.npz")["y"].astype(np.float64))
    return results


PRODUCTS = [("int8", "int8"), ("int4-g32", "int8"), ("int4-g64-asym", "int8"), ("int3-g32", "int8"), ("mxfp4", "int8"), ("nvfp4", "fp8"), ("fp8", "fp8"), ("nf4", "bf16"), ("bfloat16", "bf16")]


@pytest.mark.parametrize("product,target", thinned(PRODUCTS, ARCHITECTURES), ids=lambda part: part if isinstance(part, str) else "-".join(part))
def test_linear_shapes_agree_with_the_processor(product, target, program, tmp_path):
    """Rows and depths that divide the tiles and that do not; one, few and many tokens."""
    fmt, act = product
    rng = np.random.default_rng(7)
    for depth, columns in ((576, 192), (172, 72)):
        save_linear(tmp_path / "linear.onnx", rng.standard_normal((depth, columns), dtype=np.float32))
        inputs = [rng.standard_normal((tokens, depth), dtype=np.float32) for tokens in (1, 7, 70)]
        ours = run_linear(program, tmp_path, target, fmt, act, inputs, seed=depth)
        reference = run_linear(program, tmp_path, "x86-64-v2", fmt, act, inputs)
        for y, wanted in zip(ours, reference):
            # Weights of nf4 are rounded to bfloat16 for its products, which the processor does in float32.
            assert np.linalg.norm(y - wanted) <= (4e-3 if act == "bf16" else 1e-4) * np.linalg.norm(wanted)


@pytest.mark.parametrize("target", ARCHITECTURES)
def test_integers_are_exact(target, program, tmp_path):
    """Where every number is a small integer that its codes express, so is the result."""
    rng = np.random.default_rng(3)
    weights = rng.integers(-127, 128, (96, 80)).astype(np.float32)
    weights[0] = 127
    x = rng.integers(-127, 128, (40, 96)).astype(np.float32)
    x[:, 0] = 127
    save_linear(tmp_path / "linear.onnx", weights)
    for part in (x[:1], x[:3], x):
        assert np.array_equal(run_linear(program, tmp_path, target, "int8", "int8", [part])[0], part.astype(np.float64) @ weights)
