"""Plans: what `qcc --print-plan` says of the language model that ships with the source."""
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build"))


def plan(*options):
    done = subprocess.run([str(BUILD / "bin/qcc"), str(ROOT / "models/stories260K/model.onnx"), "--print-plan=json", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def formats(rows):
    return [row["format"] for row in rows["linears"]]


def test_only_the_head_has_the_heads_format():
    chosen = formats(plan("--fmt=int4-g32"))
    assert chosen[-1] == "int8-g32"
    assert chosen[:-1] == ["int4-g32"] * 35  # seven products in each of five layers; the states that values become are no outputs
    assert formats(plan("--fmt=int4-g32", "--head-fmt=float32"))[-1] == "float32"


def test_bytes_and_instructions():
    rows = plan("--fmt=int4-g32", "--target=x86-64-v4-vnni,x86-64-v2")["linears"]
    assert rows[0]["instructions"] == {"x86-64-v4-vnni": "vpdpbusd", "x86-64-v2": "pmaddubsw"}
    assert rows[0]["bytes"] == 64 * 64 * 4.5 / 8
    assert rows[0]["act"] == "int8"
