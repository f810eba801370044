"""llama2.c's tokenizer: merging by score, bytes for what the vocabulary lacks, round trips."""
import struct

import pytest

from qcc.tokenizer import LlamaTokenizer


def tokenizer_file(pieces):
    return struct.pack("<i", 8) + b"".join(struct.pack("<fi", score, len(piece)) + piece for piece, score in pieces)


@pytest.fixture(scope="module")
def tokenizer(pytestconfig):
    return LlamaTokenizer((pytestconfig.rootpath / "models/stories260K/tokenizer.bin").read_bytes())


def quadratic(tokenizer, tokens):
    """The merging rule as it is stated, one pass over all pairs per merge."""
    while True:
        pairs = [(tokenizer._ids.get(tokenizer.pieces[a] + tokenizer.pieces[b]), at) for at, (a, b) in enumerate(zip(tokens, tokens[1:]))]
        pairs = [(-tokenizer.scores[merged], at, merged) for merged, at in pairs if merged is not None]
        if not pairs:
            return tokens
        _, at, merged = min(pairs)
        tokens = tokens[:at] + [merged] + tokens[at + 2:]


@pytest.mark.parametrize("text", ["Once upon a time, there was a little girl named Lily.", "aaaaaaaaaaa", "naïve – 漢字\n\n\"Yes!\"", " ", ""])
def test_round_trip_and_merging_rule(tokenizer, text):
    tokens = tokenizer.encode(text, begin=True)
    assert tokens[0] == tokenizer.BEGIN
    assert tokenizer.decode(tokens) == text
    single = tokenizer.encode(text)[:0] + ([tokenizer._ids[b" "]] if text else [])
    for character in text:
        piece = character.encode()
        single += [tokenizer._ids[piece]] if piece in tokenizer._ids else [3 + byte for byte in piece]
    assert tokens[1:] == quadratic(tokenizer, single)


def test_a_cut_off_file_is_refused(tokenizer):
    data = tokenizer_file([(b"<unk>", 0.0), (b"ab", 1.0)])
    assert len(LlamaTokenizer(data).pieces) == 2
    for end in range(5, len(data)):
        if end != len(tokenizer_file([(b"<unk>", 0.0)])):
            with pytest.raises(ValueError):
                LlamaTokenizer(data[:end])
