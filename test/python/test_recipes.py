"""Recipes and budgets on the language model that ships with the source: what `--print-plan` says each product gets."""
import collections
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build"))
MODEL = ROOT / "models/stories260K/model.onnx"
LAYER = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def qcc(*options):
    return subprocess.run([str(BUILD / "bin/qcc"), str(MODEL), *map(str, options)], capture_output=True, text=True)


def linears(*options):
    done = qcc("--print-plan=json", "--emit=tiled", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["linears"]


def matched(tmp_path, *patterns):
    """For each pattern, the products that a rule with it matches, as LAYER.NAME; no two of them match the same."""
    formats = ["int8", "int4-g32", "nf4", "fp8", "nvfp4"]
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("\n".join(f'[[rule]]\nformat = "{name}"\n{pattern}\n' for name, pattern in zip(formats, patterns)))
    nodes = collections.defaultdict(list)
    for row in linears(f"--recipe={recipe}"):
        path = row["node"].split("/")
        nodes[row["format"]].append("head" if len(path) == 3 else f"{path[3]}.{path[5]}")
    return [nodes[name] for name, pattern in zip(formats, patterns)]


def in_every_layer(*parts):
    return [f"{layer}.{part}" for layer in range(5) for part in parts]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "tokens.npz"
    np.savez(path, input_ids=np.random.default_rng(1).integers(3, 512, (2, 1, 32)))
    return path


@pytest.mark.parametrize("name, formats, acts, methods", [
    ("w8a8-smoothquant", {"int8"}, {"int8"}, {"smoothquant"}),
    ("w4a16-gptq-g128", {"int4-g128", "int8-g32"}, {"f32"}, {"gptq"}),
    ("w4a16-awq-g128", {"int4-g128-asym", "int8-g32"}, {"f32"}, {"awq", "rtn"}),
    ("fp8-dynamic", {"fp8"}, {"f32"}, {"rtn"}),
    ("fp8-static", {"fp8"}, {"fp8-static"}, {"rtn"}),
    ("int8-static-cnn", {"int8"}, {"int8-static"}, {"smoothquant", "rtn"}),
    ("nvfp4", {"nvfp4", "fp8"}, {"int8", "f32"}, {"rtn"}),
])
def test_recipes_that_ship(name, formats, acts, methods):
    rows = linears(f"--recipe={name}")
    assert {row["format"] for row in rows} == formats
    assert {row["act"] for row in rows} == acts
    assert {row["method"] for row in rows} == methods
    assert (ROOT / f"recipes/{name}.toml").read_text().startswith("# ")
    assert f"`{name}`" in (ROOT / "docs/recipes.md").read_text()


def test_the_page_knows_every_recipe():
    assert {path.stem for path in (ROOT / "recipes").iterdir()} == {
        "auto", "w8a8-smoothquant", "w4a16-gptq-g128", "w4a16-awq-g128", "fp8-dynamic", "fp8-static", "int8-static-cnn", "nvfp4"}


def test_the_automatic_recipe_needs_data():
    done = qcc("--recipe=auto", "--print-plan")
    assert done.returncode == 2 and "choosing among formats needs data: give --calib=FILE" in done.stderr


def test_methods_of_one_group(data, tmp_path):
    """Products that read the same value are quantized by methods of their own."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[[rule]]\nformat = "int8"\n\n[[rule]]\nkind = "attention-input"\nmethod = "smoothquant"\n\n'
                      '[[rule]]\nread-by = "Swish"\nmethod = "gptq"\nformat = "int4-g32"\n')
    done = qcc(f"--recipe={recipe}", f"--calib={data}", "--fail-if=kld>0.1", "-o", tmp_path / "x.qcc")
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([str(BUILD / "bin/qcc-inspect"), str(tmp_path / "x.qcc"), "--json"], capture_output=True, text=True, check=True)
    first = json.loads(shown.stdout)["plan"]["linears"][:7]
    assert [row["method"] for row in first] == ["smoothquant"] * 3 + ["rtn", "gptq", "rtn", "rtn"]
    without = qcc(f"--recipe={recipe}", "-o", tmp_path / "y.qcc")
    assert without.returncode == 2 and "the method smoothquant needs data: give --calib=FILE" in without.stderr


def test_kinds(tmp_path):
    kinds = ["attention-input", "attention-output", "mlp-input", "mlp-output", "head"]
    assert matched(tmp_path, *[f'kind = "{kind}"' for kind in kinds]) == [
        in_every_layer(*LAYER[:3]), in_every_layer("o_proj"), in_every_layer("gate_proj", "up_proj"), in_every_layer("down_proj"), ["head"]]


def test_dataflow_sizes_and_names(tmp_path):
    patterns = ['reads = "RMSNormalization"\nread-by = ["Swish", "Linear"]', 'read-by = "RotaryEmbedding"', 'name = ["*/[ov]_proj/*", "/v/*"]',
                "inputs = { min = 172 }", "outputs = { min = 512, max = 512 }\nweights = { min = 32768 }"]
    assert matched(tmp_path, *patterns) == [
        in_every_layer("gate_proj", "up_proj"), in_every_layer("q_proj", "k_proj"), in_every_layer("v_proj", "o_proj"), in_every_layer("down_proj"), ["head"]]


def test_positions(tmp_path):
    assert matched(tmp_path, "first = 2", "last = 2", "every = 14\nfrom = 3") == [
        ["0.q_proj", "0.k_proj"], ["4.down_proj", "head"], ["0.o_proj", "2.o_proj", "4.o_proj"]]


def test_positions_of_layers(tmp_path):
    first_and_last, some = matched(tmp_path, 'first = 1\nlast = 1\nof = "layers"', 'every = 2\nfrom = 1\nof = "layers"\nkind = "mlp-output"')
    assert first_and_last == [f"{layer}.{part}" for layer in (0, 4) for part in LAYER]
    assert some == ["1.down_proj", "3.down_proj"]


def test_the_last_rule_wins_field_by_field(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[[rule]]\nformat = "int4-g32"\nmethod = "gptq"\n\n'
                      '[[rule]]\nkind = "mlp-output"\nact = "f32"\nformat = "nf4"\n\n[[rule]]\nfirst = 7\nformat = "int8"\n')
    rows = linears(f"--recipe={recipe}", "--act=int8", "--method=awq", "--head-fmt=float32")
    said = [(row["format"], row["act"], row["method"]) for row in rows]
    assert said[0] == ("int8", "int8", "gptq")
    assert said[6] == ("int8", "f32", "gptq")
    assert said[13] == ("nf4", "f32", "gptq")
    assert said[35] == ("int4-g32", "int8", "gptq")


def test_formats_under_a_budget(data, tmp_path):
    """Only what an MLP gives is free: with a budget between, some of it gets 8 bits, always the same."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[[rule]]\nkind = "mlp-output"\nformat = "int4-g32,int8-g32"\n')
    rest = [f"--recipe={recipe}", "--fmt=int4-g32", "--head-fmt=int4-g32", f"--calib={data}"]
    rows = linears(*rest, "--budget=5bpw")
    assert linears(*rest, "--budget=5bpw") == rows
    free = [row["format"] for row in rows if "down_proj" in row["node"]]
    assert 0 < free.count("int8-g32") < 5
    assert collections.Counter(row["format"] for row in rows if "down_proj" not in row["node"]) == {"int4-g32": 31}
    assert sum(8 * row["bytes"] for row in rows) <= 5 * sum(row["inputs"] * row["outputs"] for row in rows)
    assert [row["format"] for row in linears(*rest, "--budget=1MB") if "down_proj" in row["node"]] == ["int8-g32"] * 5


def test_formats_within_a_time(data, tmp_path):
    """Measured for this machine, and then kept: a plan for the least that it can take is the same twice."""
    options = ["--fmt=int4-g32,float32", "--act=f32", f"--calib={data}", f"--calib-cache={tmp_path}"]
    ample = linears(*options, "--budget=100ms")
    assert all(row["format"] == "float32" and row["harm"] == 0 and row["measured_nanoseconds"] > 0 for row in ample)
    most = sum(row["measured_nanoseconds"] for row in ample)
    rows = linears(*options, f"--budget={most * 1e-6}ms")
    assert sum(row["measured_nanoseconds"] for row in rows) <= most


def test_times_of_another_target_follow_bytes(data):
    options = ["--fmt=int4-g32,float32", "--act=f32", f"--calib={data}", "--target=sm_90"]
    ample = linears(*options, "--budget=1ms")
    assert all(row["format"] == "float32" and row["estimated_nanoseconds"] > 0 for row in ample)
    half = sum(row["estimated_nanoseconds"] for row in ample) / 2
    rows = linears(*options, f"--budget={half * 1e-3}us")
    assert collections.Counter(row["format"] for row in rows).keys() == {"int4-g32", "float32"}
    assert sum(row["estimated_nanoseconds"] for row in rows) <= half


def test_bounds_that_cannot_be_kept(data):
    for options, message in [
            (["--budget=3bpw"], "the smallest formats take"),
            (["--budget=0.001us"], "the fastest formats take"),
            (["--budget=3bits"], "--budget=3bits: expected bits per weight, a size or the time of a token, such as 4.5bpw, 80MB or 2.5ms"),
            ([], "several formats to choose from need --budget or --max-kld")]:
        done = qcc("--fmt=int4-g32,int8-g32", "--head-fmt=int8", "--print-plan", f"--calib={data}", *options)
        assert done.returncode == 2 and message in done.stderr, done.stderr
    done = qcc("--fmt=auto", "--budget=5bpw", "--print-plan")
    assert done.returncode == 2 and "choosing among formats needs data: give --calib=FILE" in done.stderr
    assert "expected a number above 0" in qcc("--fmt=auto", "--max-kld=-1").stderr
