"""Methods that choose the numbers of weights, on the language model that ships with the source and on real models."""
import json

import numpy as np
import pytest


@pytest.fixture(scope="module")
def data(stories, shared, tmp_path_factory):
    """Stories to calibrate on, and others to measure with."""
    from qcc import samples
    folder = tmp_path_factory.mktemp("data")
    for name, windows in (("calibration", (0, 8)), ("evaluation", (200, 208))):
        samples.write_tokens(shared / "text/tinystories-100k.txt", folder / f"{name}.npz", stories / "model.onnx", tokenizer=stories / "tokenizer.bin",
                             ctx=128, windows=windows)
    return folder


@pytest.fixture(scope="module")
def divergence(stories, shared, program, data, tmp_path_factory):
    """KL divergence of a build from the float program, on stories that it was not calibrated with; measured once per build."""
    folder, known = tmp_path_factory.mktemp("artifacts"), {}

    def measure(*options):
        if options not in known:
            out = folder / f"{len(known)}.qcc"
            calibration = [f"--calib={data / 'calibration.npz'}"] if len(options) > 1 else []
            built = program("qcc", stories / "model.onnx", "--act=f32", *options, *calibration, "-o", out)
            assert built.returncode == 0, built.stderr
            compared = program("qcc-eval", out, f"--against={stories / 'model.onnx'}", f"--data={shared / 'text/tinystories-100k.txt'}", "--json",
                               f"--tokenizer={stories / 'tokenizer.bin'}", "--ctx=128", "--windows=8")
            assert compared.returncode == 0, compared.stderr
            known[options] = json.loads(compared.stdout)["kld"]
        return known[options]

    return measure


@pytest.mark.parametrize("method", ["gptq", "awq+gptq"])
def test_a_method_is_better_than_rounding(divergence, method):
    assert divergence("--fmt=int4-g32", f"--method={method}") < 0.97 * divergence("--fmt=int4-g32")


@pytest.mark.parametrize("fmt", ["nvfp4", "int4-g16-asym"])
def test_gptq_knows_no_format(divergence, fmt):
    assert divergence(f"--fmt={fmt}", "--method=gptq") < 0.97 * divergence(f"--fmt={fmt}")


def test_allocated_bits_are_better_than_uniform_ones(divergence):
    """Beside int4-g32 with its head in 8 bits, which takes 5.08 bits per weight."""
    assert divergence("--fmt=auto", "--budget=5.08bpw") < 0.9 * divergence("--fmt=int4-g32")


def test_scaling_inputs_changes_nothing(stories, program, data, tmp_path):
    """Without rounding, SmoothQuant's scales cancel: all of them are folded into normalizations and into the weights before."""
    built = program("qcc", stories / "model.onnx", "--fmt=float32", "--method=smoothquant", f"--calib={data / 'calibration.npz'}", "--fail-if=outputs.logits>1e-5", "-o", tmp_path / "x.qcc")
    assert built.returncode == 0, built.stderr
    assert "scaled when the program runs" not in built.stderr
    plain = program("qcc", stories / "model.onnx", "--fmt=float32", "-o", tmp_path / "y.qcc")
    assert plain.returncode == 0
    assert (tmp_path / "x.qcc").read_bytes() != (tmp_path / "y.qcc").read_bytes()


def test_the_same_data_give_the_same_bytes(stories, program, data, tmp_path):
    for name in ("a", "b"):
        built = program("qcc", stories / "model.onnx", "--fmt=int4-g32", "--method=signround", f"--calib={data / 'calibration.npz'}", "--emit=quantized", "-o", tmp_path / f"{name}.mlirbc")
        assert built.returncode == 0, built.stderr
    assert (tmp_path / "a.mlirbc").read_bytes() == (tmp_path / "b.mlirbc").read_bytes()


@pytest.mark.parametrize("model", ["exports/optimum-vit", "exports/dynamo-lstm"])
def test_gptq_lowers_the_error_of_other_models(program, shared, tmp_path, model):
    """The golden's own input is all the data there is: GPTQ fits it."""
    golden = shared / model / "golden.npz"

    def error(*options):
        built = program("qcc", shared / model / "model.onnx", "--fmt=int4-g32", "--act=f32", f"--calib={golden}", *options, "-o", tmp_path / "x.qcc")
        assert built.returncode == 0, built.stderr
        manifest = json.loads(program("qcc-inspect", tmp_path / "x.qcc", "--json").stdout)
        return np.mean(list(manifest["quality"]["outputs"].values()))

    assert error("--method=gptq") < error()
