"""qcc-eval: gates, windows, relative errors, bad usage."""
import json

import numpy as np
import pytest

from qcc import eval as evaluation
from test_package import LEFT, RIGHT, addition


class Letters:
    """A tokenizer of one token per letter; 0 begins a text."""

    def encode(self, text, begin=False):
        return [0] * begin + [ord(letter) for letter in text]


def test_windows_do_not_overlap_and_are_full():
    windows = evaluation.token_windows("abcdefg", Letters(), 3, 0)
    assert windows == [[97, 98, 99], [100, 101, 102]]
    assert evaluation.token_windows("abcdefg", Letters(), 3, 1) == windows[:1]
    with pytest.raises(evaluation.UsageError):
        evaluation.token_windows("ab", Letters(), 3, 0)


def test_documents_begin_and_are_cut_off():
    assert evaluation.token_windows("a  b\n|cdefgh", Letters(), 4, 0, r"\|") == [[0, 97, 32, 98], [0, 99, 100, 101]]


@pytest.mark.parametrize("gate, held", [("kld>0.03", True), ("kld > 0.05", False), ("kld<=0.04", True), ("outputs.y>=1e-3", True), ("top1<0.9", True)])
def test_gates(gate, held):
    report = {"kld": 0.04, "outputs": {"y": 1e-3}, "top1": float("nan")}
    assert evaluation.holds(evaluation.parse_gate(gate), report) is held


@pytest.mark.parametrize("gate", ["kld", "kld=3", "kld>x", "top9>1"])
def test_bad_gates_are_refused(gate):
    with pytest.raises(evaluation.UsageError):
        evaluation.holds(evaluation.parse_gate(gate), {"kld": 0.04})


def test_output_errors_and_gate(tmp_path, capsys):
    model = addition(tmp_path)
    data = tmp_path / "data.npz"
    np.savez(data, **{"in:left.1": LEFT, "in:right": RIGHT, "out:sum": (LEFT + RIGHT) * 2})
    assert evaluation.main([str(model), f"--data={data}", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["outputs"]["sum"] == pytest.approx(0.5)
    assert evaluation.main([str(model), f"--data={data}", "--fail-if=outputs.sum>0.4"]) == 1
    assert evaluation.main([str(model), f"--data={data}", f"--against={model}", "--fail-if=outputs.sum>0"]) == 0


def test_bad_usage(tmp_path, capsys):
    model = addition(tmp_path)
    assert evaluation.main([str(model), f"--data={tmp_path / 'missing.txt'}"]) == 2
    (tmp_path / "text.txt").write_text("text")
    assert evaluation.main([str(model), f"--data={tmp_path / 'text.txt'}"]) == 2
    assert "tokenizer" in capsys.readouterr().err
