"""Plans: what `qcc --print-plan` says of the language model that ships with the source."""
import hashlib
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build"))
MODEL = ROOT / "models/stories260K/model.onnx"


def plan(*options):
    done = subprocess.run([str(BUILD / "bin/qcc"), str(MODEL), "--print-plan=json", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def formats(rows):
    return [row["format"] for row in rows["linears"]]


def test_only_the_head_has_the_heads_format():
    chosen = formats(plan("--emit=tiled", "--fmt=int4-g32"))
    assert chosen[-1] == "int8-g32"
    assert chosen[:-1] == ["int4-g32"] * 35  # seven products in each of five layers; the states that values become are no outputs
    assert formats(plan("--emit=tiled", "--fmt=int4-g32", "--head-fmt=float32"))[-1] == "float32"


def test_bytes_and_instructions():
    options = "--fmt=int4-g32", "--target=x86-64-v4-vnni,x86-64-v2"
    whole, early = plan(*options), plan("--emit=tiled", *options)
    assert {"artifact_bytes", "memory"} == whole.keys() - early.keys()
    rows = whole["linears"]
    assert early["linears"] == rows
    assert rows[0]["instructions"] == {"x86-64-v4-vnni": "vpdpbusd", "x86-64-v2": "pmaddubsw"}
    assert rows[0]["bytes"] == 64 * 64 * 4.5 / 8
    assert rows[0]["act"] == "int8"


def test_the_artifact_has_the_planned_size(tmp_path):
    for options in (["--fmt=float32"], ["--fmt=nf4", "--target=x86-64-v2,x86-64-v4"]):
        out = tmp_path / "model.qcc"
        subprocess.run([str(BUILD / "bin/qcc"), str(MODEL), "-o", str(out), *options], check=True)
        assert plan(*options)["artifact_bytes"] == out.stat().st_size


def test_memory_of_a_run():
    """Two sequences of ten tokens after five: keys and values of 4 heads of 8 numbers in 5 layers, and logits of 512 tokens."""
    memory = plan("--plan-lengths=batch_size=2,sequence_length=10,past_sequence_length=5")["memory"]
    assert memory["lengths"] == {"batch_size": 2, "sequence_length": 10, "past_sequence_length": 5}
    assert memory["states_bytes"] == 2 * 5 * (2 * 4 * (5 + 10) * 8) * 4
    assert memory["outputs_bytes"] == 2 * 10 * 512 * 4
    assert memory["peak_bytes"] == sum(memory[part] for part in ("weights_bytes", "arena_bytes", "states_bytes", "inputs_bytes", "outputs_bytes"))


def test_a_length_that_no_dimension_has():
    done = subprocess.run([str(BUILD / "bin/qcc"), str(MODEL), "--print-plan", "--plan-lengths=tokens=3"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no dimension is named 'tokens'; the model's are: batch_size, past_sequence_length, sequence_length" in done.stderr


def test_the_artifact_tells_what_it_was_made_of(tmp_path):
    out = tmp_path / "model.qcc"
    subprocess.run([str(BUILD / "bin/qcc"), str(MODEL), "-o", str(out)], check=True)
    manifest = json.loads(subprocess.run([str(BUILD / "bin/qcc-inspect"), str(out), "--json"], check=True, capture_output=True, text=True).stdout)
    assert manifest["model"] == {"name": "model.onnx", "sha256": hashlib.sha256(MODEL.read_bytes()).hexdigest()}
    assert [file["name"] for file in manifest["provenance"]["files"]] == ["model.onnx"]
