"""A decoder-only language model as exporters write it: token ids in, logits out, the past kept by the session."""
import numpy as np


class Decoder:
    """Feeds whichever of the usual inputs the model has: input_ids, attention_mask, position_ids, and empty caches that are no states."""

    def __init__(self, model, threads=None):
        self.model, self.session = model, model.session(threads)
        self.inputs = {value.name: value for value in model.inputs}
        if "input_ids" not in self.inputs:
            raise ValueError("the model has no input 'input_ids': it is no decoder that takes tokens")
        self.logits = next((value.name for value in model.outputs if value.name == "logits"), model.outputs[0].name)
        self.past = 0

    def reset(self):
        self.session.reset()
        self.past = 0

    def __call__(self, tokens):
        """Appends tokens [batch, new] and returns their logits [batch, new, vocabulary]."""
        tokens = np.atleast_2d(np.asarray(tokens))
        batch, new = tokens.shape
        if self.past and not self.model.states:
            raise ValueError("the artifact keeps no past: it can read a text once, not continue it")
        feed = {}
        for name, value in self.inputs.items():
            if name == "input_ids":
                array = tokens
            elif name == "attention_mask":
                array = np.ones((batch, self.past + new))
            elif name == "position_ids":
                array = np.tile(np.arange(self.past, self.past + new), (batch, 1))
            else:
                array = self._empty_cache(value, batch)
            feed[name] = array.astype(value.dtype)
        logits = self.session.run(feed, [self.logits])[self.logits]
        self.past += new
        return logits

    @staticmethod
    def _empty_cache(value, batch):
        shape = [dim if isinstance(dim, int) else batch if "batch" in dim else 0 for dim in value.dims]
        if 0 not in shape:
            raise ValueError(f"input '{value.name}' is neither tokens, mask, positions nor a cache")
        return np.zeros(shape)


def generate(model, tokens, max_tokens=128, *, stop=(), temperature=0.0, seed=0, threads=None):
    """Yields up to max_tokens tokens that continue `tokens`: the likeliest each time, or drawn at `temperature`."""
    decoder, random = Decoder(model, threads), np.random.default_rng(seed)
    step = list(tokens)
    for _ in range(max_tokens):
        logits = decoder([step])[0, -1].astype(np.float64)
        if temperature > 0:
            weights = np.exp((logits - logits.max()) / temperature)
            token = int(random.choice(len(weights), p=weights / weights.sum()))
        else:
            token = int(logits.argmax())
        if token in stop:
            return
        yield token
        step = [token]
