"""Data for the compiler from text: windows of tokens, as the npz files that `qcc --calib` takes."""
from pathlib import Path

import numpy as np

from . import tokenizer as tokenizers


def parse_windows(text):
    """'32' as the first 32 windows, '100:132' as those from 100 to 131: (first, end)."""
    first, colon, end = text.rpartition(":")
    try:
        first, end = int(first or 0), int(end)
    except ValueError:
        raise ValueError(f"'{text}' is no number of windows and no FIRST:END") from None
    if not 0 <= first < end:
        raise ValueError(f"'{text}' names no window")
    return first, end


def windows_of(tokens, ctx, first, end):
    """Windows of `ctx` tokens that do not overlap, as int64 of samples × batch (1) × tokens."""
    there = len(tokens) // ctx
    if there <= first:
        raise ValueError(f"the text has {there} windows of {ctx} tokens, window {first} is not among them")
    tokens = np.asarray(tokens[first * ctx:min(end, there) * ctx], np.int64)
    return tokens.reshape(-1, 1, ctx)


def write_tokens(text_path, output, model, *, tokenizer=None, ctx=512, windows=(0, 128)):
    """Tokenises a text with the tokenizer beside `model` (or the one given) and writes its windows to an npz file."""
    tokens = tokenizers.load(tokenizer or model).encode(Path(text_path).read_text(encoding="utf8"))
    np.savez(output, input_ids=windows_of(tokens, ctx, *windows))
