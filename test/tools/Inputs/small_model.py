"""Writes a small model to the path given: a matrix product with a symbolic batch, a choice between two subgraphs, and attributes of several kinds."""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

weight = numpy_helper.from_array(np.arange(512, dtype=np.float32).reshape(16, 32) / 512, "weight")
branches = [helper.make_graph([helper.make_node(kind, ["y"], [f"{kind}.out"], name=kind)], kind, [],
                              [helper.make_tensor_value_info(f"{kind}.out", TensorProto.FLOAT, ["batch", 32])]) for kind in ("Relu", "Neg")]
nodes = [
    helper.make_node("MatMul", ["x", "weight"], ["y"], name="product"),
    helper.make_node("If", ["condition"], ["chosen"], name="choice", then_branch=branches[0], else_branch=branches[1]),
    helper.make_node("LeakyRelu", ["chosen"], ["z"], name="leak", alpha=0.25),
]
if "--plain" in sys.argv:
    nodes = [nodes[0], helper.make_node("LeakyRelu", ["y"], ["z"], name="leak", alpha=0.25)]
inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])]
if "--plain" not in sys.argv:
    inputs.append(helper.make_tensor_value_info("condition", TensorProto.BOOL, []))
graph = helper.make_graph(nodes, "small", inputs, [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 32])], [weight])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
