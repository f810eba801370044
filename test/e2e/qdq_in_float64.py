"""Evaluates a quantized convolutional network in float64, as its QuantizeLinear and DequantizeLinear nodes say, in NumPy.

In float32 the order of a sum decides on which side of one half a sum close to it falls, and a code that is one off moves all that
comes after it. A float64 sum of 8-bit products errs by 1e-13 and decides each of these roundings as exact numbers do.
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper


def along(values, axis, data):
    """Scales or zeros of an axis in a shape that goes with the data; a single one as a number."""
    if values.size == 1:
        return values.reshape(())
    shape = [1] * data.ndim
    shape[axis if data.ndim > 1 else 0] = -1
    return values.reshape(shape)


def dequantize(codes, scale, zero=np.int8(0), axis=1):
    return (codes.astype(np.float64) - along(np.asarray(zero), axis, codes)) * along(scale.astype(np.float64), axis, codes)


def quantize(data, scale, zero, axis=1):
    limits = np.iinfo(zero.dtype)
    codes = np.rint(data / along(scale.astype(np.float64), axis, data)) + along(zero.astype(np.float64), axis, data)
    return np.clip(codes, limits.min, limits.max).astype(zero.dtype)


def convolve(data, weights, bias=0.0, pads=(0, 0, 0, 0), strides=(1, 1), group=1, **_):
    data = np.pad(data, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    windows = np.lib.stride_tricks.sliding_window_view(data, weights.shape[2:], axis=(2, 3))[:, :, ::strides[0], ::strides[1]]
    if group == 1:
        sums = np.einsum("nchwij,ocij->nohw", windows, weights, optimize=True)
    else:
        assert group == data.shape[1] == weights.shape[0], "groups of one channel alone"
        sums = np.einsum("nchwij,cij->nchw", windows, weights[:, 0], optimize=True)
    return sums + np.reshape(bias, (1, -1, 1, 1))


OPERATORS = {
    "Identity": lambda x: x,
    "Cast": lambda x, to: x.astype(helper.tensor_dtype_to_np_dtype(to)),
    "DequantizeLinear": dequantize,
    "QuantizeLinear": quantize,
    "Conv": convolve,
    "Relu": lambda x: np.maximum(x, 0),
    "Add": lambda a, b: a + b,
    "GlobalAveragePool": lambda x: x.mean(axis=(2, 3), keepdims=True),
    "Flatten": lambda x, axis=1: x.reshape(x.shape[0], -1),
    "Gemm": lambda a, b, c, transB=0, **_: a @ (b.T if transB else b) + c,
}


def evaluate(path, inputs):
    """The outputs of the model in a file, by name."""
    graph = onnx.load(path).graph
    values = {name: data.astype(np.float64) for name, data in inputs.items()}
    values |= {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        values[node.output[0]] = OPERATORS[node.op_type](*(values[name] for name in node.input if name), **attributes)
    return {output.name: values[output.name] for output in graph.output}
