"""Text to token ids and back: Hugging Face's tokenizer.json through `tokenizers`, and llama2.c's tokenizer.bin."""
import heapq
import struct
from pathlib import Path


class LlamaTokenizer:
    """llama2.c's tokenizer file: int32 longest token, then per token a float32 score, an int32 length and its bytes.

    A text becomes its characters (bytes where the vocabulary lacks one: token 3 + byte), then the neighbours whose joint piece
    has the highest score are merged, leftmost first, until no pair is a piece.
    """
    BEGIN, END, FIRST_BYTE = 1, 2, 3

    def __init__(self, data):
        self.pieces, self.scores, offset = [], [], 4
        while offset < len(data):
            if offset + 8 > len(data):
                raise ValueError("the tokenizer file is cut off")
            score, length = struct.unpack_from("<fi", data, offset)
            offset += 8
            if length < 0 or offset + length > len(data):
                raise ValueError("the tokenizer file is cut off")
            self.pieces.append(data[offset:offset + length])
            self.scores.append(score)
            offset += length
        self._ids = {}
        for token, piece in enumerate(self.pieces):
            self._ids.setdefault(piece, token)

    def encode(self, text, begin=False):
        tokens = [self._ids[b" "]] if text else []
        for character in text:
            piece = character.encode()
            tokens += [self._ids[piece]] if piece in self._ids else [self.FIRST_BYTE + byte for byte in piece]
        return ([self.BEGIN] if begin else []) + self._merge(tokens)

    def _merge(self, tokens):
        following = list(range(1, len(tokens) + 1))
        previous = list(range(-1, len(tokens) - 1))
        alive = [True] * len(tokens)
        queue = []

        def offer(left):
            right = following[left]
            if right < len(tokens):
                merged = self._ids.get(self.pieces[tokens[left]] + self.pieces[tokens[right]])
                if merged is not None:
                    heapq.heappush(queue, (-self.scores[merged], left, tokens[left], right, tokens[right], merged))

        for left in range(len(tokens)):
            offer(left)
        while queue:
            _, left, left_token, right, right_token, merged = heapq.heappop(queue)
            if not (alive[left] and alive[right] and following[left] == right and tokens[left] == left_token and tokens[right] == right_token):
                continue
            tokens[left], alive[right] = merged, False
            following[left] = following[right]
            if following[right] < len(tokens):
                previous[following[right]] = left
            offer(left)
            if previous[left] >= 0:
                offer(previous[left])
        return [token for token, stays in zip(tokens, alive) if stays]

    def decode(self, tokens):
        text, before = b"", None
        for token in tokens:
            piece = self.pieces[token]
            if self.FIRST_BYTE <= token < self.FIRST_BYTE + 256:
                piece = bytes([token - self.FIRST_BYTE])
            elif token in (self.BEGIN, self.END):
                piece = b""
            elif before == self.BEGIN and piece.startswith(b" "):
                piece = piece[1:]
            text, before = text + piece, token
        return text.decode(errors="replace")


class HuggingFaceTokenizer:
    """tokenizer.json; needs the package `tokenizers`."""

    def __init__(self, path):
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise RuntimeError("reading a tokenizer.json needs the Python package 'tokenizers'") from error
        self._tokenizer = Tokenizer.from_file(str(path))

    def encode(self, text, begin=False):
        return self._tokenizer.encode(text, add_special_tokens=begin).ids

    def decode(self, tokens):
        return self._tokenizer.decode(list(tokens))


def load(path):
    """The tokenizer in a file, or beside a model or artifact (tokenizer.json before tokenizer.bin)."""
    path = Path(path)
    if path.suffix == ".json":
        return HuggingFaceTokenizer(path)
    if path.suffix == ".bin":
        return LlamaTokenizer(path.read_bytes())
    folder = path if path.is_dir() else path.parent
    for name in ("tokenizer.json", "tokenizer.bin"):
        if (folder / name).exists():
            return load(folder / name)
    raise FileNotFoundError(f"neither tokenizer.json nor tokenizer.bin lies in '{folder}'; name one with --tokenizer")
