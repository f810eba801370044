"""Writes a small model whose main kernel is the one named, to the path given."""
import sys

import onnx
import onnx.parser

MODELS = {
    "attention": "(float[1, 8, s, 64] q, float[1, 2, t, 64] k, float[1, 2, t, 64] v) => (float[1, 8, s, 64] y) { y = Attention <is_causal = 1> (q, k, v) }",
    "softmax": "(float[n, 1000] x) => (float[n, 1000] y) { y = Softmax (x) }",
    "columns": "(float[n, 1000, 64] x) => (float[n, 1000, 64] y) { y = Softmax <axis = 1> (x) }",
    "norm": "(float[n, 64] x, float[64] w) => (float[n, 64] y) { y = LayerNormalization (x, w) }",
    "sum": "(float[n, m] x) => (float[n] y) <int64[1] axes = {1}> { y = ReduceSum <keepdims = 0> (x, axes) }",
    "product": "(float[b, m, k] x, float[b, k, n] y) => (float[b, m, n] z) { z = MatMul (x, y) }",
    "conv": "(float[n, 16, 20, 20] x, float[32, 16, 3, 3] w) => (float[n, 32, 18, 18] y) { y = Conv (x, w) }",
    "pool": "(float[n, 16, 20, 20] x) => (float[n, 16, 19, 19] y) { y = MaxPool <kernel_shape = [2, 2]> (x) }",
    "lstm": "(float[s, b, 8] x, float[1, 64, 8] w, float[1, 64, 16] r) => (float[s, 1, b, 16] y) { y = LSTM <hidden_size = 16> (x, w, r) }",
    "double": "(double[n] x) => (double[n] z) { y = Exp (x) z = Pow (y, x) }",
}
onnx.save(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 24]>\nagraph {MODELS[sys.argv[1]]}'), sys.argv[2])
