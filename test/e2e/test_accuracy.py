"""Classifiers keep their accuracy: the same top-1 as ONNX Runtime in float32, within one point of it at int8."""
import gzip

import numpy as np
import pytest

import qcc


def predictions(run, images):
    return np.concatenate([run(batch).argmax(-1) for batch in images])


def onnx_runtime(path):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


def compiled(path, folder, fmt):
    model = qcc.load(qcc.compile(path, folder / f"{fmt}.qcc", fmt=fmt))
    name, output = model.inputs[0].name, model.outputs[0].name
    return lambda batch: model({name: batch})[output]


def mnist(shared):
    """10,000 images, one by one: the model's batch is fixed at 1."""
    folder = shared / "images"
    images = np.frombuffer(gzip.open(folder / "t10k-images-idx3-ubyte.gz").read(), np.uint8, offset=16)
    labels = np.frombuffer(gzip.open(folder / "t10k-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
    return shared / "models/mnist.onnx", images.reshape(-1, 1, 1, 28, 28).astype(np.float32), labels


def cifar10(shared):
    with np.load(shared / "images/cifar10_test_first100_lossless.npz") as data:
        images, labels = data["images"].transpose(0, 3, 1, 2).astype(np.float32) / 255, data["labels"]
    mean, deviation = (np.array(values, np.float32)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return shared / "models/resnet20_cifar10.onnx", ((images - mean) / deviation).reshape(4, 25, 3, 32, 32), labels


@pytest.mark.parametrize("data", [mnist, cifar10])
def test_top1(data, shared, tmp_path):
    model, images, labels = data(shared)
    expected = predictions(onnx_runtime(model), images)
    accuracy = np.mean(expected == labels)
    assert accuracy > 0.9, "the images are not what the model was trained on"
    assert np.array_equal(predictions(compiled(model, tmp_path, "float32"), images), expected)
    quantized = np.mean(predictions(compiled(model, tmp_path, "int8"), images) == labels)
    assert abs(quantized - accuracy) <= 0.01
