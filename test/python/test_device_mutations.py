"""The emulator must notice when a kernel that qcc has generated loses a barrier, a wait, a fence or a copy, or reads from a wrong place: each is taken
out of the PTX of a compiled program, one after another, and the program is run. Results that stay right without a finding would mean that an
emulated run says nothing of that statement, or that the kernel does not need it."""
import hashlib
import re
import subprocess
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from small_models import BUILD, parse

pytestmark = pytest.mark.skipif(not (BUILD / "lib/libqcc-emulated-cuda.so").exists(), reason="the emulated driver is not built")
RNG = np.random.default_rng(11)


def linear(tokens=40, is_known=False):
    weights = RNG.standard_normal((640, 256), dtype=np.float32)
    value = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, [tokens if is_known else "tokens", width])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "linear", [value("x", 640)], [value("y", 256)], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), {"x": RNG.standard_normal((tokens, 640), dtype=np.float32)}


def normal(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def attention(queries, element="float"):
    text = "agraph (float[1, 2, s, 64] q, float[1, 2, t, 64] k, float[1, 2, t, 64] v) => (float[1, 2, s, 64] y) { y = Attention (q, k, v) }"
    inputs = {"q": normal(1, 2, queries, 64), "k": normal(1, 2, 70, 64), "v": normal(1, 2, 70, 64)}
    return parse(text.replace("float", element)), {name: x.astype(np.float32 if element == "float" else element) for name, x in inputs.items()}


def norms():
    model = parse("agraph (float[a, 1000] x, float[1000] w) => (float[a, 1000] y, float[a, 1000] z) { y = LayerNormalization (x, w, w) z = Softmax (x) }")
    return model, {"x": normal(3, 1000), "w": normal(1000)}


def products():
    return parse("agraph (float[70, 64] x, float[64, 90] y) => (float[70, 90] z) { z = MatMul (x, y) }"), {"x": normal(70, 64), "y": normal(64, 90)}


def anotherPlace(found):
    return re.sub(r"\+\d(\d*)\]", r"+9\1]", found.group())


def withoutIt(found):
    return ";"


KINDS = {
    "a barrier": (r"bar\.sync[^;\n]*;", withoutIt),
    "a wait for copies": (r"cp\.async\.wait_group[^;\n]*;", withoutIt),
    "one group of a wait for copies": (r"cp\.async\.wait_group\s+1;", lambda found: found.group().replace("1;", "2;")),
    "a commit of copies": (r"cp\.async\.commit_group[^;\n]*;", withoutIt),
    "a copy": (r"cp\.async\.c[ag][^;\n]*;", withoutIt),
    "a fence of the proxy": (r"fence\.proxy\.async[^;\n]*;", withoutIt),
    "a fence of products": (r"wgmma\.fence[^;\n]*;", withoutIt),
    "a commit of products": (r"wgmma\.commit_group[^;\n]*;", withoutIt),
    "a wait for products": (r"wgmma\.wait_group[^;\n]*;", withoutIt),
    "a bulk copy": (r"cp\.async\.bulk[^;\n]*;", withoutIt),
    "a wait for a stage": (r"mbarrier\.try_wait[^;\n]*; @full bra done; bra again;", withoutIt),
    "the parity of a wait": (r"xor\.b32[^;\n]*, 1;", lambda found: found.group()[:-2] + "0;"),
    "a stage given back": (r"mbarrier\.arrive\.release[^;\n]*;", withoutIt),
    "the bytes of a stage": (r"mbarrier\.arrive\.expect_tx(\S* _, [^,]*), [^;\n]*;", lambda found: f"mbarrier.arrive{found.group(1)};"),
    "the start of barriers in memory": (r"mbarrier\.init[^;\n]*;", withoutIt),
    "the pattern of activations": (r"\b4611686293305294848\b", lambda found: "274877906944"),
    "a copy to tensor memory": (r"tcgen05\.cp\.[^;\n]*;", withoutIt),
    "a commit of a thread's products": (r"tcgen05\.commit[^;\n]*;", withoutIt),
    "a wait at a barrier in memory": (r"mbarrier\.try_wait[^;\n]*;\n@!p bra[^;\n]*;", withoutIt),
    "a wait for tensor memory": (r"tcgen05\.wait::ld[^;\n]*;", withoutIt),
    "tensor memory given back": (r"tcgen05\.dealloc[^;\n]*;", withoutIt),
    "a product": (r"tcgen05\.mma[^;\n]*;", withoutIt),
    "whether a product goes on": (r"setp\.ne\.b32 p, %r\d+, 0;", lambda found: found.group().replace(".ne.", ".eq.")),
    "the order of pieces": (r"\b4611756662049472512\b", lambda found: "70643622084608"),
    "the lines between eights": (r"\b4611756662049472512\b", lambda found: "4611756524610519040"),
    "the thread that has scales": (r"\{(%rs\d+), (?!\1)%rs\d+\}", lambda found: f"{{{found.group(1)}, {found.group(1)}}}"),
    "a store to shared memory": (r"st\.shared[^;\n]*;", withoutIt),
    "the place of a tile": (r"ldmatrix[^;]*\[%\w+\];", lambda found: re.sub(r"(\d)\];", lambda digit: f"{int(digit.group(1)) ^ 1}];", found.group())),
    "an exchange between lanes": (r"shfl\.sync[^;\n]*;", withoutIt),
    "the place of a load": (r"ld\.shared\S*\s+[^;\n]*\[%\w+\+\d+\];", anotherPlace),
}
COPIES = ["a wait for copies", "one group of a wait for copies", "a commit of copies", "a copy"]
PRODUCTS = ["a fence of products", "a commit of products", "a wait for products"]
RING = ["a bulk copy", "a wait for a stage", "the parity of a wait", "a stage given back", "the bytes of a stage", "the start of barriers in memory", "the pattern of activations"]
TILES = ["a store to shared memory", "the place of a tile"]
TENSOR = ["a commit of a thread's products", "a wait at a barrier in memory", "a wait for tensor memory", "tensor memory given back", "a product", "whether a product goes on",
          "the order of pieces", "the lines between eights", "a fence of the proxy"]
EXCHANGES = ["a barrier", "a store to shared memory", "an exchange between lanes"]
# The fence behind the initialisation of mbarriers is not among these: the emulator does not ask for it.
# The model and its inputs, what it is compiled with, the kernel that the run executes, what to break there, and how many statements are spare: barriers that
# only order the threads of a warp, which the emulator takes as ordered, or stand behind the last step of a loop.
CASES = {
    "linear on sm_75": (linear, ["--target=sm_75", "--fmt=int8", "--act=int8"], "_mma$", ["a barrier", "a store to shared memory", "the place of a load"], {"a barrier": 1}),
    "linear on sm_80": (linear, ["--target=sm_80", "--fmt=int4-g32", "--act=int8"], "_mma$", ["a barrier", *COPIES, "the place of a load"], {"a barrier": 1}),
    "linear on sm_90a": (lambda: linear(40, is_known=True), ["--target=sm_90a", "--fmt=fp8", "--act=fp8"], r"_wgmma\d+$", ["a barrier", *RING, *PRODUCTS, "the place of a load"], {}),
    "linear in blocks on sm_120a": (lambda: linear(64), ["--target=sm_120a", "--fmt=nvfp4", "--head-fmt=nvfp4", "--act=nvfp4"], "_scaled$", ["a barrier", *COPIES, "the thread that has scales", "the place of a load"], {"a barrier": 1}),
    "linear in blocks on sm_100a": (linear, ["--target=sm_100a", "--fmt=mxfp8", "--act=mxfp8"], "_tcgen05$", ["a barrier", *COPIES, *TENSOR, "a copy to tensor memory", "a store to shared memory"], {"a barrier": 1}),
    "linear on sm_100a": (linear, ["--target=sm_100a", "--fmt=int8-g64", "--head-fmt=int8-g64", "--act=int8"], "_tcgen05$", ["a barrier", *COPIES, *TENSOR], {"a barrier": 1}),
    "linear of bfloat16 on sm_100a": (linear, ["--target=sm_100a", "--fmt=bfloat16", "--head-fmt=bfloat16", "--act=bf16"], "_tcgen05$", ["a barrier", *COPIES, *TENSOR], {"a barrier": 1}),
    "attention of many": (lambda: attention(70), ["--target=sm_80"], "attention_1$", EXCHANGES, {"a barrier": 1}),
    "attention of few": (lambda: attention(2), ["--target=sm_80"], "attention$", EXCHANGES, {"a barrier": 1}),
    "attention on matrix units": (lambda: attention(70, "float16"), ["--target=sm_80"], "attention_f16$", ["a barrier", *TILES, "an exchange between lanes"], {}),
    "norms": (norms, ["--target=sm_80"], "(norm|softmax)", EXCHANGES, {}),
    "products": (products, ["--target=sm_80"], "matmul$", ["a barrier", "a store to shared memory", "the place of a load"], {"a barrier": 1}),
}
MOST = 8  # mutants of a kind that are run


def hashOf(data):
    return hashlib.sha256(data).hexdigest().encode()


class Program:
    """A compiled artifact whose PTX can be replaced by other text of the same length, in place."""
    def __init__(self, folder, model, inputs, arguments):
        self.artifact, self.folder = folder / "model.qcc", folder
        onnx.save(model, folder / "model.onnx")
        made = subprocess.run([BUILD / "bin/qcc", folder / "model.onnx", *arguments, "-o", self.artifact], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        np.savez(folder / "in.npz", **inputs)
        with zipfile.ZipFile(self.artifact) as parts:
            text = parts.read(next(name for name in parts.namelist() if name.endswith(".ptx")))
            manifest = parts.read("manifest.json")
        self.bytes = self.artifact.read_bytes()
        self.text, self.offset = text.decode(), self.bytes.index(text)
        self.manifest = slice(self.bytes.index(manifest), self.bytes.index(manifest) + len(manifest))
        self.wanted, self.error = self.run(self.text)

    def run(self, text):
        """The outputs, or none and the error."""
        assert len(text) == len(self.text)
        changed = self.bytes[:self.offset] + text.encode() + self.bytes[self.offset + len(text):]
        changed = changed.replace(hashOf(self.text.encode()), hashOf(text.encode()))  # in the manifest, of which another entry has the hash
        changed = changed.replace(hashOf(self.bytes[self.manifest]), hashOf(changed[self.manifest]))
        self.artifact.write_bytes(changed)
        command = [BUILD / "bin/qcc-run", self.artifact, "--device=emulate", f"--in={self.folder / 'in.npz'}", f"--out={self.folder / 'out.npz'}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode:
            return None, done.stderr
        with np.load(self.folder / "out.npz") as outputs:
            return dict(outputs), ""

    def isNoticed(self, text):
        outputs, error = self.run(text)
        if outputs is None:
            assert "[kernel " in error or "deadlock" in error, error  # a finding, not a text or file that is refused
            return True
        return any(not np.allclose(outputs[name], wanted, rtol=1e-4, atol=1e-4) for name, wanted in self.wanted.items())


def mutants(text, kernels, pattern, replacement):
    """(place, text) for every place of the pattern in the kernels."""
    for kernel in re.finditer(r"\.entry (\w+)\((?s:.*?)\n}", text):
        if not re.search(kernels, kernel.group(1)):
            continue
        for found in re.finditer(pattern, kernel.group()):
            begin, end = kernel.start() + found.start(), kernel.start() + found.end()
            yield f"{kernel.group(1)}, line {text.count(chr(10), 0, begin) + 1}: {found.group()}", text[:begin] + replacement(found).ljust(end - begin) + text[end:]


@pytest.mark.parametrize("name", CASES)
def test_mutations_are_noticed(name, tmp_path):
    make, arguments, kernels, kinds, spare = CASES[name]
    program = Program(tmp_path, *make(), arguments)
    assert program.wanted is not None, program.error
    for kind in kinds:
        found = list(mutants(program.text, kernels, *KINDS[kind]))
        assert found, f"the kernel has not {kind}"
        missed = [where for where, text in found[::-(-len(found) // MOST)] if not program.isNoticed(text)]
        assert len(missed) <= spare.get(kind, 0), f"{kind}: {missed}"
