"""Static scales on real models, beside ONNX Runtime's own static quantization of them on the same data; SmoothQuant's promise on a decoder whose
activations have outliers; quantized models as ONNX files, in ONNX Runtime."""
import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import qcc
from test_accuracy import cifar10

ort = pytest.importorskip("onnxruntime")
STATIC = {"fmt": "int8", "act": "int8-static"}


def error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def agreement(actual, expected):
    return np.mean(actual.argmax(-1) == expected.argmax(-1))


def onnx_runtime(path, inputs, optimized=True):
    """The first output, one sample of every input after the other."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {name: value[i] for name, value in inputs.items()})[0] for i in range(len(next(iter(inputs.values()))))])


def ours(path, inputs):
    model = qcc.load(path)
    return np.stack([model({name: value[i] for name, value in inputs.items()})[model.outputs[0].name] for i in range(len(next(iter(inputs.values()))))])


def quantized_by_onnx_runtime(model, calibration, folder):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            count = len(next(iter(calibration.values())))
            self.samples = iter([{name: value[i] for name, value in calibration.items()} for i in range(count)])

        def get_next(self):
            return next(self.samples, None)

    loaded = onnx.load(model)
    if loaded.opset_import[0].version < 13:  # scales along an axis
        loaded = onnx.version_converter.convert_version(loaded, 13)
    onnx.save(loaded, folder / "float.onnx")
    quantize_static(folder / "float.onnx", folder / "peer.onnx", Reader(), quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt8,
                    activation_type=QuantType.QUInt8)
    return folder / "peer.onnx"


def resized(image, size):
    """Bilinear, of the last two axes."""
    def along(x):
        at = np.clip((np.arange(size) + 0.5) * x.shape[-1] / size - 0.5, 0, x.shape[-1] - 1.001)
        low = at.astype(int)
        return x[..., low] * (1 - (at - low)) + x[..., low + 1] * (at - low)
    return along(along(image).swapaxes(-1, -2)).swapaxes(-1, -2).astype(np.float32)


def crops(image, count, seed):
    random, size = np.random.default_rng(seed), image.shape[-1]
    made = []
    for _ in range(count):
        side = random.integers(140, size + 1)
        top, left = random.integers(0, size - side + 1, 2)
        made.append(resized(image[:, top:top + side, left:left + side], size)[None])
    return np.stack(made)


@pytest.fixture(scope="module")
def resnet(shared):
    """Calibrated on the first 32 of the 100 images, measured on all and on the others."""
    model, images, labels = cifar10(shared)
    return model, {"input": images.reshape(100, 1, 3, 32, 32)}, labels


def test_resnet20(resnet, tmp_path):
    model, images, labels = resnet
    calibration = {name: value[:32] for name, value in images.items()}
    np.savez(tmp_path / "data.npz", **calibration)
    expected = onnx_runtime(model, images)[:, 0]
    actual = ours(qcc.compile(model, tmp_path / "x.qcc", calib=tmp_path / "data.npz", **STATIC), images)[:, 0]
    peer = onnx_runtime(quantized_by_onnx_runtime(model, calibration, tmp_path), images)[:, 0]
    assert np.mean(actual.argmax(-1) == labels) >= np.mean(expected.argmax(-1) == labels) - 0.01
    assert agreement(actual[32:], expected[32:]) >= 0.97
    assert error(actual[32:], expected[32:]) <= 1.1 * error(peer[32:], expected[32:])


def test_mobilenet(shared, tmp_path):
    """Calibrated on crops of one photograph and a few small images, measured on crops of another photograph."""
    model = shared / "models/mobilenetv2_imagenet_fp32_from_qdq.onnx"
    with np.load(shared / "golden/mobilenetv2_float.npz") as golden:
        photographs = golden["in:image"]
    small = cifar10(shared)[1].reshape(100, 3, 32, 32)[:4]
    calibration = {"image": np.concatenate([crops(photographs[0], 8, 1), resized(small, 244)[:, None]])}
    images = {"image": crops(photographs[1], 16, 2)}
    np.savez(tmp_path / "data.npz", **calibration)
    expected = onnx_runtime(model, images)[:, 0]
    peer = onnx_runtime(quantized_by_onnx_runtime(model, calibration, tmp_path), images)[:, 0]
    for options in (STATIC, {"recipe": "int8-static-cnn"}):
        actual = ours(qcc.compile(model, tmp_path / "x.qcc", calib=tmp_path / "data.npz", **options), images)[:, 0]
        assert agreement(actual, expected) >= 0.97
        assert error(actual, expected) <= 1.1 * error(peer, expected)


def test_equalization_of_a_real_network_changes_nothing(resnet, tmp_path, program):
    model, images, _ = resnet
    np.savez(tmp_path / "data.npz", input=images["input"][:4])
    built = program("qcc", model, "--method=equalization", f"--calib={tmp_path / 'data.npz'}", "--fail-if=outputs.logits>1e-5", "-o", tmp_path / "x.qcc")
    assert built.returncode == 0, built.stderr


@pytest.mark.parametrize("name", ["optimum-vit", "dynamo-bert"])
@pytest.mark.parametrize("fmt", ["int8", "fp8"])
def test_encoders_as_onnx_files(shared, tmp_path, program, name, fmt):
    """What is compiled, and the ONNX file of it in ONNX Runtime."""
    model = shared / f"exports/{name}/model.onnx"
    with np.load(shared / f"exports/{name}/golden.npz") as golden:
        inputs = {key[3:]: golden[key][None] for key in golden if key.startswith("in:")}
        expected = next(golden[key] for key in golden if key.startswith("out:"))
    np.savez(tmp_path / "data.npz", **inputs)
    options = {"fmt": fmt, "act": f"{fmt}-static", "calib": tmp_path / "data.npz"}
    actual = ours(qcc.compile(model, tmp_path / "x.qcc", **options), inputs)[0]
    assert 1e-4 < error(actual, expected) < 0.1
    qcc.compile(model, tmp_path / "x.onnx", options=["--emit=onnx-qdq"], **options)
    assert error(onnx_runtime(tmp_path / "x.onnx", inputs, optimized=False)[0], actual) < 3e-3


def test_resnet20_as_an_onnx_file(resnet, tmp_path):
    model, images, _ = resnet
    np.savez(tmp_path / "data.npz", input=images["input"][:32])
    options = {"calib": tmp_path / "data.npz", **STATIC}
    qcc.compile(model, tmp_path / "x.onnx", options=["--emit=onnx-qdq"], **options)
    written = onnx.load(tmp_path / "x.onnx")
    onnx.checker.check_model(written, full_check=True)
    types = [node.op_type for node in written.graph.node]
    assert types.count("Conv") == 19 and types.count("QuantizeLinear") == 20
    actual = ours(qcc.compile(model, tmp_path / "x.qcc", **options), images)[:, 0]
    for optimized in (False, True):  # node by node, and with its own integer convolutions
        peer = onnx_runtime(tmp_path / "x.onnx", images, optimized)[:, 0]
        assert agreement(actual, peer) == 1 and error(actual, peer) < 0.01
    again = ours(qcc.compile(tmp_path / "x.onnx", tmp_path / "again.qcc"), images)[:, 0]
    assert agreement(again, actual) == 1 and error(again, actual) < 0.01


def with_outliers(source, target, factor=60, share=0.005):
    """The same function: what normalizations give is `factor` times as large in a share of the channels, and the matrices that read it make up for it."""
    model, random = onnx.load(source), np.random.default_rng(3)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    readers = {"input_layernorm": [f"self_attn.{part}_proj" for part in "qkv"], "post_attention_layernorm": ["mlp.gate_proj", "mlp.up_proj"]}
    for name in [name for name in constants if name.endswith("layernorm.weight")]:
        layer, norm = name.removesuffix(".weight").rsplit(".", 1)
        weight = numpy_helper.to_array(constants[name]).copy()
        channels = random.choice(len(weight), max(1, round(share * len(weight))), replace=False)
        weight[channels] *= factor
        constants[name].CopyFrom(numpy_helper.from_array(weight, name))
        for reader in (f"{layer}.{part}.weight" for part in readers[norm]):
            matrix = numpy_helper.to_array(constants[reader]).copy()  # inputs x outputs
            matrix[channels] /= factor
            constants[reader].CopyFrom(numpy_helper.from_array(matrix, reader))
    onnx.save(model, target)


def test_smoothquant_keeps_its_promise(stories, shared, program, tmp_path):
    """8-bit activations lose a decoder with outliers and SmoothQuant gets it back, with scales of each token and more so with static ones; 8-bit floats
    bear outliers."""
    from qcc import samples
    model, text = tmp_path / "outliers.onnx", shared / "text/tinystories-100k.txt"
    with_outliers(stories / "model.onnx", model)
    samples.write_tokens(text, tmp_path / "data.npz", model, tokenizer=stories / "tokenizer.bin", ctx=128, windows=(0, 4))

    def kld(source, fmt, act, method="rtn"):
        qcc.compile(source, tmp_path / "x.qcc", fmt=fmt, act=act, method=method, calib=tmp_path / "data.npz")
        compared = program("qcc-eval", tmp_path / "x.qcc", f"--against={stories / 'model.onnx'}", f"--data={text}", "--json",
                           f"--tokenizer={stories / 'tokenizer.bin'}", "--ctx=128", "--windows=3")
        assert compared.returncode == 0, compared.stderr
        return json.loads(compared.stdout)["kld"]

    assert kld(model, "float32", "f32") < 1e-6
    for act, loss in (("int8", 0.1), ("int8-static", 1)):
        without, smooth, half = (kld(model, "int8", act, method) for method in ("rtn", "smoothquant", "smoothquant=0.5"))
        clean = kld(stories / "model.onnx", "int8", act)
        assert without > loss and without > 20 * smooth
        assert smooth < 1.2 * clean and smooth < 1.3 * half  # searched by the error of single operations, which is not quite that of the logits
    assert kld(model, "fp8", "f32") < 1.5 * kld(stories / "model.onnx", "fp8", "f32")
    assert kld(model, "fp8", "fp8-static") < 1.5 * kld(stories / "model.onnx", "fp8", "fp8-static")
