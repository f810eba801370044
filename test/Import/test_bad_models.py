"""Models that are broken, cut short, cyclic, hostile or merely wrong: each ends with status 2 and an error that says so, never with a crash."""
import os
import random
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
QCC = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build")) / "bin" / "qcc"
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
GIB = 1 << 30


def qcc(path, emit="canonical", timeout=60):
    run = subprocess.run([QCC, path, f"--emit={emit}", "-o", "/dev/null"], capture_output=True, text=True, errors="replace", timeout=timeout)
    assert run.returncode in (0, 2), f"status {run.returncode}: {run.stderr[-2000:]}"
    if run.returncode:
        assert run.stderr.startswith("qcc: error: "), run.stderr
    return run


def refused(path, *words, **options):
    run = qcc(path, **options)
    assert run.returncode == 2, "was compiled"
    for word in words:
        assert word in run.stderr, f"no '{word}' in: {run.stderr}"


def value(name, dims=("n", 4), kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, dims)


def model(nodes, inputs=None, outputs=("y",), weights=(), opset=17, functions=(), **extra):
    graph = helper.make_graph(nodes, "g", [value("x")] if inputs is None else inputs, [value(o, None) for o in outputs], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("own", 1)], ir_version=9, functions=functions)
    for name, field in extra.items():
        setattr(made, name, field)
    return made


def node(kind, inputs, outputs=("y",), **attributes):
    return helper.make_node(kind, list(inputs), list(outputs), name=f"the_{kind}", **attributes)


@pytest.fixture
def save(tmp_path):
    def write(what):
        path = tmp_path / "model.onnx"
        path.write_bytes(what if isinstance(what, bytes) else what.SerializeToString())
        return path
    return write


def good():
    """A model with a weight, a subgraph, a function and attributes of several kinds."""
    weight = numpy_helper.from_array(np.arange(16, dtype=np.float32).reshape(4, 4) / 16, "w")
    branches = [helper.make_graph([helper.make_node(kind, ["t"], [f"{kind}_out"], name=kind)], kind, [], [value(f"{kind}_out", None)]) for kind in ("Relu", "Neg")]
    function = helper.make_function("own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["t"], name="product"),
        helper.make_node("If", ["condition"], ["u"], name="choice", then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Twice", ["u"], ["v"], name="call", domain="own"),
        helper.make_node("Transpose", ["v"], ["y"], name="turn", perm=[1, 0]),
    ]
    return model(nodes, [value("x"), value("condition", [], TensorProto.BOOL)], weights=[weight], functions=[function])


# ---- files


def test_the_good_model_compiles(save):
    assert qcc(save(good()), emit="imported").returncode == 0


@pytest.mark.parametrize("content", [b"", b"\0", b"hello", b"PK\x03\x04" + bytes(100), b"\x89PNG\r\n", bytes(4096), b"\xff" * 4096, b"\x08" * 999])
def test_other_files(save, content):
    refused(save(content), "model.onnx")


def test_a_folder_without_a_model(tmp_path):
    refused(tmp_path, "holds neither model.onnx")


def test_no_file(tmp_path):
    refused(tmp_path / "none.onnx", "cannot open")


def test_no_regular_file():
    refused("/dev/null", "not a regular file")


def test_cut_short(save):
    whole = good().SerializeToString()
    for length in range(1, len(whole), max(1, len(whole) // 40)):
        qcc(save(whole[:length]))


def test_flipped_bits(save):
    whole = good().SerializeToString()
    generator = random.Random(20260101)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(generator.choice([1, 1, 1, 3, 10])):
            broken[generator.randrange(len(broken))] ^= 1 << generator.randrange(8)
        qcc(save(bytes(broken)))


def test_a_length_beyond_the_file(save):
    refused(save(b"\x3a\xff\xff\xff\xff\x7f" + b"x" * 50), "malformed or cut short")


def test_nested_beyond_every_limit(save):
    """Graph in attribute in node in graph, 500 levels deep; protobuf's own parser would use up the stack."""
    def field(number, body):
        length, prefix = len(body), bytearray([number << 3 | 2])
        while length >= 128:
            prefix.append(length & 127 | 128)
            length >>= 7
        return bytes(prefix) + bytes([length]) + body
    graph = b""
    for _ in range(500):
        graph = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, graph)))
    refused(save(field(7, graph)), "malformed")


def test_subgraphs_nested_deeply(save):
    made = node("Relu", ["x"], ["t0"])
    for level in range(30):
        made = node("If", ["c"], [f"t{level + 1}"], then_branch=helper.make_graph([made], "g", [], [value(f"t{level}", None)]),
                    else_branch=helper.make_graph([node("Neg", ["x"], ["e"])], "g", [], [value("e", None)]))
    qcc(save(model([made], [value("x"), value("c", [], TensorProto.BOOL)], ["t30"])))


# ---- external data


def external(save, tmp_path, size=64, **entries):
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    for key, text in entries.items():
        tensor.external_data.add(key=key, value=str(text))
    if size is not None:
        (tmp_path / "data.bin").write_bytes(bytes(size))
    return save(model([node("MatMul", ["x", "w"])], weights=[tensor]))


def test_external_data_is_read(save, tmp_path):
    assert qcc(external(save, tmp_path, location="data.bin", length=64)).returncode == 0


@pytest.mark.parametrize("location", ["../secret.bin", "sub/../../secret.bin", "/etc/passwd", "..", ".", "", "data.bin\0", "sub\\data.bin", "./none.bin", "a" * 5000])
def test_external_data_outside(save, tmp_path, location):
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    refused(external(lambda made: (inside / "m.onnx").write_bytes(made.SerializeToString()) and inside / "m.onnx", inside, location=location), "external data")


def test_external_data_behind_a_link(save, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.bin").write_bytes(bytes(64))
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "link.bin").symlink_to(outside / "secret.bin")
    refused(external(lambda made: (inside / "m.onnx").write_bytes(made.SerializeToString()) and inside / "m.onnx", inside, location="link.bin"), "out of the model's folder")


@pytest.mark.parametrize("entries", [dict(offset=1), dict(offset=-64), dict(offset=1 << 62), dict(length=63), dict(length=1 << 62), dict(offset="x"), dict(offset=""),
                                     dict(length="99999999999999999999"), dict(offset=4096, length=64)])
def test_external_data_out_of_range(save, tmp_path, entries):
    refused(external(save, tmp_path, location="data.bin", **entries), "'w'")


def test_external_data_of_the_model_itself(save, tmp_path):
    """The name that stands for data inside the model file is not a file's."""
    qcc(external(save, tmp_path, location="qcc:model-file", offset=0, length=64))
    refused(external(save, tmp_path, location="qcc:model-file", offset=1 << 40, length=64), "'w'")


# ---- graphs


def test_cycles(save):
    refused(save(model([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])], outputs=["b"])), "cyclic")
    refused(save(model([node("Add", ["x", "y"])])), "cyclic")


def test_values_that_nothing_makes(save):
    refused(save(model([node("Relu", ["nowhere"])])), "'nowhere'", "the_Relu")
    refused(save(model([node("Relu", ["x"])], outputs=["nowhere"])), "'nowhere'")
    refused(save(model([node("If", ["x"], then_branch=helper.make_graph([], "g", [], [value("inner")]), else_branch=helper.make_graph([], "g", [], [value("inner")]))])),
            "'inner'")


def test_values_that_are_made_twice(save):
    refused(save(model([node("Relu", ["x"]), node("Neg", ["x"])])), "already")
    refused(save(model([node("Relu", ["x"], ["x"])], outputs=["x"])), "already")
    refused(save(model([node("Relu", ["x"])], inputs=[value("x"), value("x")])), "twice")
    body = helper.make_graph([helper.make_node("Identity", ["go"], ["goes"])], "g", [value("i", [], INT64), value("go", [], TensorProto.BOOL)],
                             [value("goes", [], TensorProto.BOOL)], [numpy_helper.from_array(np.array(True), "go")])
    refused(save(model([node("Loop", ["m", ""], body=body)], inputs=[value("m", [], INT64)])), "name of another value")


def test_a_tensor_that_says_that_its_data_is_in_the_file(save):
    """The default, spelled out behind data that is large enough to be left where it is."""
    weight = numpy_helper.from_array(np.ones((1024, 4), np.float32), "w")
    weight.data_location = TensorProto.DEFAULT
    run = qcc(save(model([node("Add", ["x", "w"])], weights=[weight])))
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["?", "-1", ""])
def test_dimensions_without_a_name_are_each_of_their_own(name, save):
    run = subprocess.run([QCC, save(model([node("Relu", ["x"])], inputs=[value("x", [name, name])])), "--emit=imported", "-o", "-"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and run.stdout.count('kind = "input"') == 2, run.stdout + run.stderr


def test_an_initializer_that_is_defined_twice(save):
    """As ONNX Runtime: a warning, and the last one counts for all uses."""
    weights = [numpy_helper.from_array(np.full(shape, number, np.float32), "w") for shape, number in (((4,), 1), ((1, 4), 2))]
    path = save(model([node("Add", ["x", "w"])], weights=weights))
    run = subprocess.run([QCC, path, "--emit=imported", "-o", "-"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and "initializer 'w' is defined twice; the last definition counts" in run.stderr
    assert run.stdout.count('onnx.weight "w"') == 1 and "tensor<1x4xf32>" in run.stdout


def test_functions_that_call_themselves(save):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    call = helper.make_node("F", ["a"], ["b"], domain="own")
    refused(save(model([helper.make_node("F", ["x"], ["y"], domain="own")], functions=[helper.make_function("own", "F", ["a"], ["b"], [call], opsets)])), "nested")


def test_functions_that_double(save):
    """Each of 40 functions calls the next one twice: 2^40 nodes."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = [helper.make_function("own", "F0", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], opsets)]
    for level in range(1, 40):
        calls = [helper.make_node(f"F{level - 1}", ["a"], ["t"], domain="own"), helper.make_node(f"F{level - 1}", ["t"], ["b"], domain="own")]
        functions.append(helper.make_function("own", f"F{level}", ["a"], ["b"], calls, opsets))
    refused(save(model([helper.make_node("F39", ["x"], ["y"], domain="own")], functions=functions)), "more than", timeout=300)  # a million nodes are made first


def test_many_nodes_in_reverse_order(save):
    """Legal is the other order; it must not take quadratic time to see that."""
    count = 20000
    nodes = [helper.make_node("Neg", [f"t{i}" if i else "x"], [f"t{i + 1}"]) for i in reversed(range(count))]
    qcc(save(model(nodes, outputs=[f"t{count}"])), emit="imported", timeout=120)


@pytest.mark.parametrize("opset", [-1, 0, 6, 29, 1 << 31, 1 << 62])
def test_operator_sets(save, opset):
    refused(save(model([node("Relu", ["x"])], opset=opset)), "operator set")


def test_no_operator_set(save):
    made = model([node("Relu", ["x"])])
    del made.opset_import[:]
    refused(save(made), "imports no operator set")


def test_unknown_operators(save):
    refused(save(model([node("Flub", ["x"])])), "Flub", "the_Flub")
    refused(save(model([helper.make_node("Flub", ["x"], ["y"], domain="own")])), "own.Flub")


# ---- nodes that ONNX's schemas do not allow


def test_numbers_of_inputs_and_outputs(save):
    refused(save(model([node("MatMul", ["x"])])), "has 1 inputs")
    refused(save(model([node("MatMul", ["x", "x", "x"])])), "has 3 inputs")
    refused(save(model([node("Concat", [], axis=0)], inputs=[])), "has 0 inputs")
    refused(save(model([node("Relu", ["x"], ["y", "z"])])), "has 2 outputs")
    refused(save(model([node("MatMul", ["x", ""])])), "lacks its input 1")


def test_attributes(save):
    refused(save(model([node("Concat", ["x", "x"])])), "lacks the attribute 'axis'")
    refused(save(model([node("Concat", ["x", "x"], axis="one")])), "'axis'", "integer")
    refused(save(model([node("LeakyRelu", ["x"], alpha=[0.5])])), "'alpha'", "a float")
    refused(save(model([node("Transpose", ["x"], perm=[0, 0])])), "Transpose")
    refused(save(model([node("Transpose", ["x"], perm=[0, 7])])), "Transpose")
    refused(save(model([node("Softmax", ["x"], axis=1 << 62)])), "axis")
    refused(save(model([node("If", ["c"])], inputs=[value("c", [], TensorProto.BOOL)])), "the_If")


def test_nodes_without_a_type(save):
    refused(save(model([node("", ["x"])])), "has no operator type")


@pytest.mark.parametrize("names", [["alpha", "alpha"], [""], ["subgraphs"]])
def test_names_of_attributes(save, names):
    made = node("LeakyRelu", ["x"])
    for name in names:
        made.attribute.append(helper.make_attribute(name or "x", 0.5))
        made.attribute[-1].name = name
    refused(save(model([made])), "without a name of its own")


def test_element_types(save):
    inputs = [value("x"), value("i", ["n", 4], INT64)]
    refused(save(model([node("Add", ["x", "i"])], inputs)), "must be the same")
    refused(save(model([node("Sin", ["i"])], inputs)), "does not take")
    refused(save(model([node("Gather", ["x", "x"])], inputs)), "does not take")
    refused(save(model([node("Relu", ["x"])], [value("x", ["n"], TensorProto.STRING)])), "STRING")
    refused(save(model([node("Relu", ["x"])], [value("x", ["n"], 999)])), "type 999")


# ---- shapes and sizes


def tensor(dims, kind=FLOAT, raw=None, **fields):
    made = TensorProto(name="w", data_type=kind, dims=dims, **fields)
    if raw is not None:
        made.raw_data = raw
    return made


@pytest.mark.parametrize("weight", [tensor([-1], raw=b""), tensor([4, -4], raw=bytes(64)), tensor([1 << 62], raw=b""), tensor([1 << 32, 1 << 32], raw=b""),
                                    tensor([0, 1 << 62], raw=b""), tensor([4, 4], raw=bytes(63)), tensor([4, 4], raw=bytes(65)), tensor([4, 4]),
                                    tensor([4, 4], float_data=[1.0] * 15), tensor([4], kind=TensorProto.STRING, string_data=[b"a"] * 4), tensor([4], kind=0, raw=b""),
                                    tensor([4], kind=-5, raw=b""), tensor([4], kind=TensorProto.COMPLEX64, raw=bytes(32)), tensor([3], kind=TensorProto.INT4, raw=bytes(1))])
def test_weights(save, weight):
    refused(save(model([node("Add", ["x", "w"])], weights=[weight])), "'w'")


def test_weights_of_very_many_dimensions(save):
    qcc(save(model([node("Add", ["x", "w"])], weights=[tensor([1] * 5000, raw=bytes(4))])))


@pytest.mark.parametrize("dims", [[1 << 62], [1 << 32, 1 << 32], [1 << 40, 1 << 40, 1 << 40], [0, 1 << 62], ["a*9223372036854775807"], ["9223372036854775807*9223372036854775807"],
                                  ["a/0"], ["9223372036854775807+1"], ["-" * 5000], ["(" * 5000 + "a"], ["a*b*c*d*e*f*g*h"] * 20, ["a%"], [""], ["\0"]])
def test_dimensions_of_inputs(save, dims):
    inputs = [value("x", dims)]
    for nodes in ([node("Relu", ["x"])], [node("Flatten", ["x"])], [node("Add", ["x", "x"], ["t"]), node("Shape", ["t"])]):
        qcc(save(model(nodes, inputs)), emit="tiled")


@pytest.mark.parametrize("made, dims", [
    (node("DepthToSpace", ["x"], blocksize=2), [1, 8, (1 << 63) - 1, 3]),
    (node("Flatten", ["x"]), [2, (1 << 63) - 1, 6]),
    (node("Concat", ["x"] * 5, axis=0), [1 << 62]),
    (node("SpaceToDepth", ["x"], blocksize=2), ["n", 1 << 61, 4, 4]),
    (node("Concat", ["x"] * 9, axis=0), [f"n+{1 << 60}"]),
    (node("Flatten", ["x"]), [f"n*{1 << 62}", f"m*{1 << 62}"]),
], ids=lambda made: made.op_type if isinstance(made, onnx.NodeProto) else "")
def test_lengths_beyond_every_number(save, made, dims):
    """They become the longest there is, and not small or negative ones."""
    refused(save(model([made], [value("x", dims)])), "no memory can hold", emit="tiled")


def constant(name, numbers, kind=np.int64):
    return numpy_helper.from_array(np.array(numbers, kind), name)


HUGE = 1 << 40


@pytest.mark.parametrize("made", [
    model([node("ConstantOfShape", ["s"])], [], weights=[constant("s", [HUGE, HUGE])]),
    model([node("ConstantOfShape", ["s"])], [], weights=[constant("s", [HUGE])]),
    model([node("ConstantOfShape", ["s"])], [], weights=[constant("s", [-1])]),
    model([node("Expand", ["x", "s"])], weights=[constant("s", [HUGE, HUGE, 1, 4])]),
    model([node("Tile", ["x", "s"])], weights=[constant("s", [HUGE, HUGE])]),
    model([node("Tile", ["x", "s"])], weights=[constant("s", [-3, 1])]),
    model([node("Range", ["a", "b", "c"])], [], weights=[constant("a", 0), constant("b", 1 << 62), constant("c", 1)]),
    model([node("Range", ["a", "b", "c"])], [], weights=[constant("a", 0), constant("b", 5), constant("c", 0)]),
    model([node("Pad", ["x", "s"])], weights=[constant("s", [HUGE, HUGE, HUGE, HUGE])]),
    model([node("Pad", ["x", "s"])], weights=[constant("s", [-(1 << 62), 0, 0, 0])]),
    model([node("Reshape", ["x", "s"])], weights=[constant("s", [HUGE, -1, HUGE])]),
    model([node("Reshape", ["x", "s"])], weights=[constant("s", [-1, -1])]),
    model([node("Reshape", ["x", "s"])], weights=[constant("s", [0, 0, 0, 0])]),
    model([node("Slice", ["x", "a", "b", "c", "d"])], weights=[constant("a", [0]), constant("b", [4]), constant("c", [1]), constant("d", [0])]),
    model([node("Slice", ["x", "a", "b", "c", "d"])], weights=[constant("a", [-(1 << 63)]), constant("b", [(1 << 63) - 1]), constant("c", [1]), constant("d", [-(1 << 63)])]),
    model([node("Gather", ["x", "i"])], weights=[constant("i", [1 << 62])]),
    model([node("OneHot", ["i", "d", "v"])], [], weights=[constant("i", [0]), constant("d", 1 << 62), constant("v", [0, 1])]),
    model([node("Split", ["x", "s"], ["y", "z"], axis=1)], weights=[constant("s", [1 << 62, 1 << 62])]),
    model([node("Conv", ["x", "w"], strides=[0, 0])], [value("x", [1, 1, 8, 8])], weights=[constant("w", np.zeros((1, 1, 3, 3)), np.float32)]),
    model([node("Conv", ["x", "w"], dilations=[1 << 62, 1])], [value("x", [1, 1, 8, 8])], weights=[constant("w", np.zeros((1, 1, 3, 3)), np.float32)]),
    model([node("Conv", ["x", "w"], group=0)], [value("x", [1, 1, 8, 8])], weights=[constant("w", np.zeros((1, 1, 3, 3)), np.float32)]),
    model([node("Conv", ["x", "w"], pads=[1 << 62] * 4)], [value("x", [1, 1, 8, 8])], weights=[constant("w", np.zeros((1, 1, 3, 3)), np.float32)]),
    model([node("MaxPool", ["x"], kernel_shape=[0, 0])], [value("x", [1, 1, 8, 8])]),
    model([node("MaxPool", ["x"], kernel_shape=[1 << 62, 1])], [value("x", [1, 1, 8, 8])]),
    model([node("AveragePool", ["x"], kernel_shape=[3])], [value("x", [1, 1, 8, 8])]),
    model([node("Resize", ["x", "", "", "s"])], [value("x", [1, 1, 8, 8])], weights=[constant("s", [1, 1, HUGE, HUGE])]),
    model([node("DepthToSpace", ["x"], blocksize=0)], [value("x", [1, 4, 8, 8])]),
    model([node("DepthToSpace", ["x"], blocksize=1 << 40)], [value("x", [1, 4, 8, 8])]),
    model([node("Einsum", ["x"], equation="i" * 500)]),
    model([node("Einsum", ["x"], equation="...->")]),
    model([node("TopK", ["x", "k"], ["y", "z"])], weights=[constant("k", [1 << 62])]),
    model([node("EyeLike", ["x"], k=1 << 62)]),
    model([node("Unsqueeze", ["x", "a"])], weights=[constant("a", [1 << 62])]),
    model([node("Unsqueeze", ["x", "a"])], weights=[constant("a", [0, 0])]),
    model([node("Squeeze", ["x", "a"])], weights=[constant("a", [1])]),
    model([node("Constant", [])], []),
    model([node("Constant", [], value_ints=[1], value_float=2.0)], []),
    model([node("Cast", ["x"], to=999)]),
    model([node("Cast", ["x"], to=8)]),
    model([node("LSTM", ["x", "w", "w"], hidden_size=1 << 40)], [value("x", [2, 1, 4])], weights=[constant("w", np.zeros((1, 16, 4)), np.float32)]),
    model([node("Loop", ["", ""], body=helper.make_graph([], "g", [], []))], []),
    model([node("Scan", ["x"], num_scan_inputs=5, body=helper.make_graph([], "g", [], []))]),
], ids=lambda made: made.graph.node[0].op_type)
def test_shapes_that_operators_are_asked_for(save, made):
    qcc(save(made), emit="tiled")


# ---- whatever the operator: no inputs, too many, the wrong ones

KNOWN = sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""})
CONTRIB = ["Attention", "BiasGelu", "FastGelu", "FusedMatMul", "Gelu", "GroupQueryAttention", "MatMulNBits", "MultiHeadAttention", "QuickGelu", "RotaryEmbedding",
           "SimplifiedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"]


@pytest.mark.parametrize("kind", KNOWN + [f"com.microsoft.{name}" for name in CONTRIB])
def test_operator_on_wrong_inputs(tmp_path, kind):
    """All in one file would stop at the first error: a file for each."""
    domain, _, name = kind.rpartition(".")
    path = tmp_path / "model.onnx"
    inputs = [value("x"), value("i", [3], INT64), value("z", [])]
    for names in ([], ["x"], ["i"], ["z"] * 3, ["x", "i"]):
        made = model([helper.make_node(name, names, ["y"], name="the_node", domain=domain)], inputs, opset=24)
        made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        path.write_bytes(made.SerializeToString())
        qcc(path)


# ---- lengths that only the run tells


def run_with(save, made, **inputs):
    """The exit status of a run, and what was said."""
    path = save(made)
    built = subprocess.run([QCC, path, "-o", path.with_suffix(".qcc")], capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    np.savez(path.with_suffix(".npz"), **inputs)
    run = subprocess.run([QCC.with_name("qcc-run"), path.with_suffix(".qcc"), f"--in={path.with_suffix('.npz')}"], capture_output=True, text=True, timeout=60)
    return run.returncode, run.stderr


@pytest.mark.parametrize("made", [
    model([node("MatMul", ["x", "w"])], [value("x", ["n", "k"])], weights=[constant("w", np.ones((4, 3)), np.float32)]),
    model([node("MatMul", ["w", "x"])], [value("x", ["k", "n"])], weights=[constant("w", np.ones((3, 4)), np.float32)]),
    model([node("MatMul", ["x", "z"])], [value("x", ["n", "k"]), value("z", ["m", 4])]),
    model([node("Gemm", ["x", "w"])], [value("x", ["n", "k"])], weights=[constant("w", np.ones((4, 3)), np.float32)]),
    model([node("Gemm", ["x", "w"], transA=1)], [value("x", ["k", "n"])], weights=[constant("w", np.ones((4, 3)), np.float32)]),
    model([node("Gemm", ["w", "w", "x"])], [value("x", ["n", "m"])], weights=[constant("w", np.ones((4, 4)), np.float32)]),
    model([node("Einsum", ["x", "w"], equation="ij,jk->ik")], [value("x", ["n", "k"])], weights=[constant("w", np.ones((4, 3)), np.float32)]),
], ids=lambda made: made.graph.node[0].op_type)
def test_inner_lengths_that_disagree(save, made):
    """They are refused before a matrix is read beyond its end."""
    others = {"z": np.ones((4, 4), np.float32)} if len(made.graph.input) > 1 else {}
    assert run_with(save, made, x=np.ones((4, 4), np.float32), **others)[0] == 0
    status, said = run_with(save, made, x=np.ones((3, 3), np.float32), **others)
    assert status == 2 and ("dimension" in said or "the_" in said), said


def test_inner_lengths_that_are_known_to_disagree(save):
    weight = [constant("w", np.ones((3, 3)), np.float32)]
    for made in (node("MatMul", ["x", "w"]), node("Gemm", ["x", "w"]), node("Einsum", ["x", "w"], equation="ij,jk->ik"), node("Einsum", ["x"], equation="ii->i")):
        refused(save(model([made], [value("x", [2, 4])], weights=weight)), made.name, "differ" if made.op_type != "Einsum" else "different lengths")


def test_batches_of_a_scan_that_disagree(save):
    body = helper.make_graph([node("Add", ["s", "e"], ["t"]), node("Identity", ["t"], ["u"])], "body", [value("s", [2]), value("e", [2])], [value("t", [2]), value("u", [2])])
    made = model([node("Scan", ["", "x", "i"], ["y", "z"], num_scan_inputs=1, body=body)], [value("x", [1, 2]), value("i", ["b", 3, 2])], ["y", "z"], opset=8)
    ones = np.ones((2, 3, 2), np.float32)
    assert run_with(save, made, x=ones[:1, 0], i=ones[:1])[0] == 0
    assert run_with(save, made, x=ones[:1, 0], i=ones)[0] == 2
