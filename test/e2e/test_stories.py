"""The shipped language model: its perplexity, int8 against float32, decoding against prefill, and a story."""
import json

import numpy as np
import pytest

import qcc
from qcc.decoder import Decoder, generate
from qcc.tokenizer import LlamaTokenizer

STORIES = [r"--documents=\n\n(?=Once upon a time)", "--ctx=256", "--windows=40", "--json"]


@pytest.fixture(scope="module")
def artifacts(stories, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stories")
    return {fmt: qcc.compile(stories / "model.onnx", folder / f"{fmt}.qcc", fmt=fmt) for fmt in ("float32", "int8")}


@pytest.fixture(scope="module")
def tokenizer(stories):
    return LlamaTokenizer((stories / "tokenizer.bin").read_bytes())


def test_perplexity(artifacts, stories, shared, program):
    arguments = [f"--data={shared / 'text/tinystories-100k.txt'}", f"--tokenizer={stories / 'tokenizer.bin'}", *STORIES]
    done = program("qcc-eval", artifacts["int8"], f"--against={artifacts['float32']}", *arguments, "--fail-if=kld>0.03")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["reference_perplexity"] == pytest.approx(3.58, abs=0.02)
    assert report["perplexity"] == pytest.approx(report["reference_perplexity"], rel=1e-3)
    assert program("qcc-eval", artifacts["int8"], *arguments, "--windows=2", "--fail-if=perplexity>1").returncode == 1


def test_prefill_and_decoding_agree(artifacts, tokenizer):
    tokens = tokenizer.encode("Once upon a time, there was a little girl named Lily. She loved to play", begin=True)
    batch = np.stack([tokens, tokens[::-1], np.roll(tokens, 3)])
    decoder = Decoder(qcc.load(artifacts["float32"]))
    whole = decoder(batch)
    for first in (1, 7, len(tokens) - 1):
        decoder.reset()
        pieces = [decoder(batch[:, :first])] + [decoder(batch[:, at:at + 1]) for at in range(first, len(tokens))]
        stepwise = np.concatenate(pieces, axis=1)
        assert np.linalg.norm(stepwise - whole) <= 1e-4 * np.linalg.norm(whole)


def test_writes_a_story(artifacts, tokenizer):
    prompt = tokenizer.encode("Once upon a time", begin=True)
    story = tokenizer.decode(generate(qcc.load(artifacts["int8"]), prompt, 60))
    # The likeliest continuation in float32 begins so; int8 keeps these high-margin words.
    assert story.startswith(", there was a little girl named Lily"), story


def test_qcc_run_writes_the_same_story(artifacts, stories, tokenizer, program):
    prompt = tokenizer.encode("Once upon a time", begin=True)
    story = tokenizer.decode([*prompt, *generate(qcc.load(artifacts["float32"]), prompt, 40, stop=(LlamaTokenizer.BEGIN, LlamaTokenizer.END))])
    done = program("qcc-run", artifacts["float32"], f"--tokenizer={stories / 'tokenizer.bin'}", "--prompt=Once upon a time", "--max-tokens=40")
    assert done.returncode == 0, done.stderr
    assert story.strip() in done.stdout
