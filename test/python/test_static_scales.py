"""Static scales on models of a few nodes: what is quantized, what data are refused, and what channels without values become."""
import json
import subprocess

import numpy as np
import pytest
from onnx import numpy_helper

from small_models import BUILD, canonical, parse, qcc, relative_error, run

STATIC = ("--fmt=int8", "--act=int8-static")


def network(weights, biases, opset=17):
    """Two convolutions with Relu between them, a residual sum and pooling."""
    model = parse("""agraph (float[N, 4, 8, 8] x) => (float[N, 6, 1, 1] y) {
        a = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
        r = Relu (a)
        c = Conv <pads = [1, 1, 1, 1], group = 2> (r, w1, b1)
        s = Add (c, r)
        d = Conv (s, w2)
        y = GlobalAveragePool (d)
    }""", opset)
    for name, value in {**weights, **biases}.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return model


def parts(seed=0, dead=()):
    r = np.random.default_rng(seed)
    weights = {"w0": r.normal(size=(8, 4, 3, 3)), "w1": r.normal(size=(8, 4, 3, 3)), "w2": r.normal(size=(6, 8, 1, 1))}
    biases = {"b0": r.normal(size=8), "b1": r.normal(size=8)}
    for channel in dead:
        weights["w0"][channel] = 0
    return [{name: value.astype(np.float32) for name, value in group.items()} for group in (weights, biases)]


def data(folder, samples=8, shape=(2, 4, 8, 8), name="x", **changed):
    x = np.random.default_rng(5).normal(size=(samples, *shape)).astype(np.float32)
    for index, value in changed.items():
        x[int(index[1:])].flat[3] = value
    np.savez(folder / "data.npz", **{name: x})
    return x


def reference(model, x):
    from onnx.reference import ReferenceEvaluator
    return ReferenceEvaluator(model).run(None, {"x": x})


def test_convolutions_become_codes(tmp_path):
    model = network(*parts())
    x = data(tmp_path)[0]
    actual = run(model, tmp_path / "a", *STATIC, f"--calib={tmp_path / 'data.npz'}", x=x)
    assert 1e-4 < relative_error(actual[0], reference(model, x)[0]) < 0.03
    done = qcc(model, tmp_path, *STATIC, "--print-plan=json")
    plan = json.loads(done.stdout)["convolutions"]
    assert [row["act"] for row in plan] == ["int8-static"] * 3
    assert sum(row["bytes"] for row in plan) == 8 * 4 * 9 + 8 * 4 * 9 + 6 * 8  # a byte for each weight


def test_ranges_are_in_the_calibrated_state(tmp_path):
    model = network(*parts())
    data(tmp_path)
    done = qcc(model, tmp_path, *STATIC, f"--calib={tmp_path / 'data.npz'}", "--emit=calibrated", "-o", "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('qnt.act = "int8-static"') == 3
    assert done.stdout.count("qnt.ranges = array<f32:") == 3  # x, the Relu, the sum
    whole = qcc(model, tmp_path, *STATIC, f"--calib={tmp_path / 'data.npz'}", "--emit=quantized", "-o", tmp_path / "whole.mlir")
    part = qcc(model, tmp_path, *STATIC, f"--calib={tmp_path / 'data.npz'}", "--emit=calibrated", "-o", tmp_path / "c.mlir")
    assert whole.returncode == part.returncode == 0
    resumed = subprocess.run([BUILD / "bin/qcc", tmp_path / "c.mlir", "--start-at=calibrated", *STATIC, "--emit=quantized", "-o", tmp_path / "part.mlir"])
    assert resumed.returncode == 0
    assert (tmp_path / "part.mlir").read_text() == (tmp_path / "whole.mlir").read_text()


@pytest.mark.parametrize("rule", ["minmax", "average", "percentile", "mse", "entropy"])
def test_every_rule_gives_ranges(tmp_path, rule):
    model = network(*parts())
    x = data(tmp_path)[0]
    actual = run(model, tmp_path / "a", *STATIC, f"--ranges={rule}", f"--calib={tmp_path / 'data.npz'}", x=x)
    assert relative_error(actual[0], reference(model, x)[0]) < 0.1


@pytest.mark.parametrize("method", ["equalization", "smoothquant", "bias-correction", "equalization+smoothquant+bias-correction"])
def test_methods_of_convolutions(tmp_path, method):
    model = network(*parts())
    x = data(tmp_path)[0]
    actual = run(model, tmp_path / "a", *STATIC, f"--method={method}", f"--calib={tmp_path / 'data.npz'}", x=x)
    assert relative_error(actual[0], reference(model, x)[0]) < 0.03


def chain():
    r = np.random.default_rng(2)
    scales = np.exp(2 * r.normal(size=8)).astype(np.float32)
    model = parse("""agraph (float[N, 4, 8, 8] x) => (float[N, 6, 6, 6] y) {
        a = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
        r = Relu (a)
        c = Conv <pads = [1, 1, 1, 1], group = 8> (r, w1, b1)
        s = Relu (c)
        y = Conv (s, w2)
    }""", 17)
    for name, value in {"w0": r.normal(size=(8, 4, 3, 3)) * scales[:, None, None, None], "b0": r.normal(size=8) * scales,
                        "w1": r.normal(size=(8, 1, 3, 3)), "b1": r.normal(size=8), "w2": r.normal(size=(6, 8, 3, 3))}.items():
        model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    return model


@pytest.mark.parametrize("method", ["equalization", "smoothquant"])
def test_scaling_between_convolutions_changes_nothing(tmp_path, method):
    """Before anything is rounded: the calibrated state in float32."""
    model, x = chain(), data(tmp_path)[0]
    done = qcc(model, tmp_path, *STATIC, f"--method={method}", f"--calib={tmp_path / 'data.npz'}", "--emit=calibrated", "-o", tmp_path / "c.mlir")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "c.mlir").read_text()
    assert text.count('qnt.act = "int8-static"') == 3
    (tmp_path / "c.mlir").write_text(text.replace('qnt.act = "int8-static"', 'qnt.act = "f32"'))
    built = subprocess.run([BUILD / "bin/qcc", tmp_path / "c.mlir", "--start-at=calibrated", "-o", tmp_path / "c.qcc"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    np.savez(tmp_path / "in.npz", x=x)
    done = subprocess.run([BUILD / "bin/qcc-run", tmp_path / "c.qcc", f"--in={tmp_path / 'in.npz'}", f"--out={tmp_path / 'out.npz'}"], capture_output=True)
    assert done.returncode == 0
    assert relative_error(np.load(tmp_path / "out.npz")["y"], reference(model, x)[0]) <= 1e-5


def test_even_channels_are_rounded_better(tmp_path):
    """Channels of unlike ranges share one scale; evened before, they lose less."""
    model, x = chain(), data(tmp_path)[0]
    errors = {method: relative_error(run(model, tmp_path / method, *STATIC, f"--method={method}", f"--calib={tmp_path / 'data.npz'}", x=x)[0],
                                     reference(model, x)[0]) for method in ("rtn", "equalization", "smoothquant")}
    assert errors["smoothquant"] < 0.8 * errors["rtn"] and errors["equalization"] < errors["rtn"], errors


def test_dead_channels_keep_their_bias(tmp_path):
    """A channel of weights that are all 0 gives its bias, rounded to 23 bits."""
    weights, biases = parts(dead=(0, 5))
    biases["b0"][5] = 0
    model = network(weights, biases)
    x = data(tmp_path)[0]
    actual = run(model, tmp_path / "a", *STATIC, f"--calib={tmp_path / 'data.npz'}", x=x)
    assert relative_error(actual[0], reference(model, x)[0]) < 0.03


def test_an_input_that_is_always_zero(tmp_path):
    model = network(*parts())
    np.savez(tmp_path / "data.npz", x=np.zeros((2, 1, 4, 8, 8), np.float32))
    x = np.zeros((1, 4, 8, 8), np.float32)
    actual = run(model, tmp_path / "a", *STATIC, f"--calib={tmp_path / 'data.npz'}", x=x)
    assert relative_error(actual[0], reference(model, x)[0]) < 0.03


def refused(model, folder, *options):
    done = qcc(model, folder, *options, "-o", folder / "x.qcc")
    assert done.returncode == 2 and not (folder / "x.qcc").exists()
    return done.stderr


def test_data_that_no_scale_covers(tmp_path):
    model = network(*parts())
    for value in (np.nan, np.inf):
        data(tmp_path, _6=value)
        assert "sample 6 of the calibration data: input 'x' holds infinities or NaNs" in refused(model, tmp_path, *STATIC, f"--calib={tmp_path / 'data.npz'}")
    data(tmp_path, _1=3e38)  # overflows on the way
    assert "sample 1 of the calibration data: what node" in refused(model, tmp_path, *STATIC, f"--calib={tmp_path / 'data.npz'}")


def test_data_of_another_shape(tmp_path):
    model = network(*parts())
    data(tmp_path, shape=(2, 4, 8, 9))
    assert "sample 0 of the calibration data" in refused(model, tmp_path, *STATIC, f"--calib={tmp_path / 'data.npz'}")
    data(tmp_path, shape=(8, 8))
    assert "'x' has 3 axes, the program's input has 4" in refused(model, tmp_path, *STATIC, f"--calib={tmp_path / 'data.npz'}")
    data(tmp_path, name="z")
    assert "there is no array 'x'" in refused(model, tmp_path, *STATIC, f"--calib={tmp_path / 'data.npz'}")


def test_no_data(tmp_path):
    model = network(*parts())
    assert "static scales need data: give --calib=FILE" in refused(model, tmp_path, *STATIC)
    data(tmp_path, samples=0)
    assert "the calibration data hold no sample" in refused(model, tmp_path, *STATIC, f"--calib={tmp_path / 'data.npz'}")


def test_what_does_not_go_together(tmp_path):
    model = network(*parts())
    data(tmp_path)
    calib = f"--calib={tmp_path / 'data.npz'}"
    assert "multiplies convolutions in weights of int8, and 'float32' was chosen; use --fmt=int8" in refused(model, tmp_path, "--act=int8-static", calib)
    assert "there are no ranges by 'best'" in refused(model, tmp_path, *STATIC, "--ranges=best", calib)
    assert "alpha is a number from 0 to 1" in refused(model, tmp_path, *STATIC, "--method=smoothquant=2", calib)
    assert "only smoothquant takes a number" in refused(model, tmp_path, *STATIC, "--method=gptq=2", calib)
    bad = parts()
    bad[0]["w1"][0, 0, 0, 0] = np.nan
    assert "no scale covers" in refused(network(*bad), tmp_path, *STATIC, calib)


def test_a_rule_keeps_a_convolution_in_float(tmp_path):
    model = network(*parts())
    data(tmp_path)
    recipe = tmp_path / "r.toml"
    recipe.write_text('[[rule]]\nformat = "int8"\nact = "int8-static"\n[[rule]]\nkind = "convolution"\nfirst = 1\nact = "f32"\n')
    done = qcc(model, tmp_path, f"--recipe={recipe}", "--print-plan=json")
    assert done.returncode == 0, done.stderr
    assert [row["act"] for row in json.loads(done.stdout)["convolutions"]] == ["f32", "int8-static", "int8-static"]


def test_float32_stays_as_it_was(tmp_path):
    names, _ = canonical(network(*parts()), tmp_path)
    assert "QuantizeLinear" not in names


def test_windows_of_other_ranks_and_many_channels(tmp_path):
    """One axis, and so many channels that float32 cannot hold every sum of codes."""
    r = np.random.default_rng(4)
    for graph, shape, weights in (
            ("agraph (float[N, 4, 33] x) => (float[N, 6, a] y) { c = Conv <pads = [1, 1]> (x, w0) d = Relu (c) y = Conv <strides = [2]> (d, w1) }", (2, 4, 33), [(8, 4, 3), (6, 8, 1)]),
            ("agraph (float[N, 900, 6, 6] x) => (float[N, 4, 6, 6] y) { c = Conv <pads = [1, 1, 1, 1]> (x, w0) y = Conv (c, w1) }", (1, 900, 6, 6), [(5, 900, 3, 3), (4, 5, 1, 1)])):
        model = parse(graph, 17)
        for i, size in enumerate(weights):
            model.graph.initializer.append(numpy_helper.from_array(r.uniform(-1, 1, size).astype(np.float32), f"w{i}"))
        x = data(tmp_path, samples=3, shape=shape)[0]
        actual = run(model, tmp_path / "a", *STATIC, f"--calib={tmp_path / 'data.npz'}", x=x)
        assert relative_error(actual[0], reference(model, x)[0]) < 0.03


def test_every_level_gives_the_same_codes(tmp_path):
    model = network(*parts())
    x = data(tmp_path)[0]
    results = [run(model, tmp_path / target, *STATIC, f"--target={target}", f"--calib={tmp_path / 'data.npz'}", x=x)[0] for target in ("native", "x86-64-v2", "x86-64-v3")]
    for result in results[1:]:
        assert relative_error(result, results[0]) < 1e-5
