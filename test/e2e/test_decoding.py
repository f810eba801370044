"""Decoders give the same logits whatever the pieces are in which they read a text: at once, token by token, in pieces of ragged lengths."""
from dataclasses import dataclass

import numpy as np
import pytest

import qcc
from qcc.decoder import Decoder


@dataclass(frozen=True)
class Model:
    file: str
    vocabulary: int
    context: int  # positions it is made for
    is_bounded: bool = True  # whether a position beyond them is an error, as opposed to one nobody trained


MODELS = {
    "stories260K": Model("models/stories260K.onnx", 512, 512, is_bounded=False),
    "optimum-llama": Model("exports/optimum-llama/model.onnx", 512, 256, is_bounded=False),
    "optimum-opt": Model("exports/optimum-opt/model.onnx", 512, 256),
    "genai-llama-int4": Model("exports/genai-llama-int4/model.onnx", 512, 256),
    "genai-qwen3-fp32": Model("exports/genai-qwen3-fp32/model.onnx", 512, 256),
    "tiny-random-gpt2": Model("models/tiny-random-gpt2/past.onnx", 1000, 512),
}
RAGGED = (1, 7, 1, 33, 2, 1, 64, 20)  # repeated until the context ends


@pytest.fixture(scope="module", params=MODELS)
def decoder(request, shared, tmp_path_factory):
    model = MODELS[request.param]
    # In float: a code of an activation that is rounded the other way is a whole step.
    artifact = qcc.compile(shared / model.file, tmp_path_factory.mktemp(request.param) / "model.qcc", act="f32")
    decoder = Decoder(qcc.load(artifact, threads=1))
    assert decoder.model.states, "its cache is no state"
    decoder.description = model
    return decoder


def texts(decoder, batch, length):
    return np.random.default_rng(batch).integers(0, decoder.description.vocabulary, (batch, length))


def read(decoder, tokens, lengths):
    """The logits of all tokens, read in pieces of these lengths; what is left is read at once."""
    decoder.reset()
    ends = [end for end in np.cumsum(lengths) if end < tokens.shape[1]]
    return np.concatenate([decoder(piece) for piece in np.split(tokens, ends, axis=1)], axis=1)


def assert_close(actual, expected):
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= 1e-4 * np.linalg.norm(expected)


def test_token_by_token_to_the_end_of_the_context(decoder):
    tokens = texts(decoder, 1, decoder.description.context)
    assert_close(read(decoder, tokens, [1] * tokens.shape[1]), read(decoder, tokens, []))


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_pieces_of_ragged_lengths(decoder, batch):
    tokens = texts(decoder, batch, decoder.description.context)
    whole = read(decoder, tokens, [])
    assert_close(read(decoder, tokens, RAGGED * 5), whole)
    alone = read(decoder, tokens[-1:], [])
    assert_close(alone, whole[-1:])


def test_a_position_beyond_the_context_is_an_error(decoder):
    if not decoder.description.is_bounded:
        pytest.skip("its positions have no end")
    tokens = texts(decoder, 1, decoder.description.context + 1)
    read(decoder, tokens[:, :-1], [])
    with pytest.raises(qcc.RunError):
        decoder(tokens[:, -1:])


@pytest.mark.parametrize("name", ["optimum-llama", "optimum-opt"])
def test_texts_padded_on_the_left(name, shared, tmp_path):
    """A batch of texts of different lengths, padded in front, gives each text's own logits, in prefill and after it."""
    model = qcc.load(qcc.compile(shared / MODELS[name].file, tmp_path / "model.qcc"), threads=1)
    lengths, longest, steps = (3, 9, 14), 14, 4
    tokens = np.random.default_rng(0).integers(0, MODELS[name].vocabulary, (len(lengths), longest + steps))
    session, single = model.session(), Decoder(model)
    positions = np.stack([np.maximum(np.arange(longest + steps) - (longest - length), 0) for length in lengths])
    mask = np.stack([np.arange(longest + steps) >= longest - length for length in lengths]).astype(np.int64)
    logits, begin = [], 0
    for end in (longest, *range(longest + 1, longest + steps + 1)):
        feed = {"input_ids": tokens[:, begin:end], "attention_mask": mask[:, :end], "position_ids": positions[:, begin:end]}
        logits.append(session.run(feed, ["logits"])["logits"])
        begin = end
    logits = np.concatenate(logits, axis=1)
    for row, length in enumerate(lengths):
        assert_close(logits[row, longest - length:][None], read(single, tokens[row:row + 1, longest - length:], []))
