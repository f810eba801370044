"""How good a compiled model is: perplexity, KL divergence, same top-1, output errors. `qcc-eval` is this file.

Text is tokenised whole and cut into windows of --ctx tokens that do not overlap; each is read with an empty cache, and every
token but a window's first is scored. With --documents=REGEX the text is split where REGEX matches instead: each document, its
white space joined, begins with the tokenizer's begin token and is cut off after --ctx tokens.
"""
import argparse
import json
import operator
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import qcc
from qcc import decoder as decoding
from qcc import tokenizer as tokenizers

COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}


class UsageError(Exception):
    pass


def parse_gate(text):
    """'kld>0.03' as (text, path into the report, comparison, bound)."""
    match = re.fullmatch(r"\s*([\w.:/-]+?)\s*(<=|>=|==|<|>)\s*([-+.\w]+)\s*", text)
    try:
        name, sign, bound = match.groups()
        return text, name, COMPARISONS[sign], float(bound)
    except (AttributeError, ValueError):
        raise UsageError(f"'{text}' is no condition like 'kld>0.03'") from None


def holds(gate, report):
    text, name, compare, bound = gate
    value = report.get(name)
    if value is None and "." in name:
        group, _, member = name.partition(".")
        value = (report.get(group) or {}).get(member)
    if not isinstance(value, (int, float)):
        raise UsageError(f"'{text}': this evaluation has no '{name}'")
    return bool(compare(value, bound) or np.isnan(value))


def open_model(path, folder, threads, fmt, device=None):
    """An artifact as it is, where `device` says; an ONNX model compiled for this machine first."""
    path = Path(path)
    if path.suffix == ".qcc":
        return qcc.load(path, threads=threads, device=device)
    return qcc.load(qcc.compile(path, Path(folder) / f"{path.stem}-{fmt}.qcc", fmt=fmt), threads=threads)


def log_probabilities(logits):
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def token_windows(text, tokenizer, ctx, limit, documents=None):
    if documents is None:
        tokens = tokenizer.encode(text)
        windows = [tokens[start:start + ctx] for start in range(0, len(tokens) - ctx + 1, ctx)]
    else:
        parts = filter(None, (" ".join(part.split()) for part in re.split(documents, text)))
        # Only as many as are asked for: tokenising is the slow part.
        windows = [tokenizer.encode(part, begin=True)[:ctx] for part, _ in zip(parts, range(limit or sys.maxsize))]
        windows = [window for window in windows if len(window) > 1]
    if limit:
        windows = windows[:limit]
    if not windows:
        raise UsageError(f"the text has no window of {ctx} tokens")
    return windows


def evaluate_text(model, reference, windows):
    """Scores token windows: {perplexity, tokens} and against a reference {kld, top1, reference_perplexity}."""
    subject = decoding.Decoder(model)
    other = decoding.Decoder(reference) if reference else None
    losses, other_losses, divergences, agreements = [], [], [], []
    for window in windows:
        following = np.asarray(window[1:])
        rows = np.arange(len(following))
        subject.reset()
        mine = log_probabilities(subject(window)[0, :-1])
        losses.append(-mine[rows, following])
        if other:
            other.reset()
            theirs = log_probabilities(other(window)[0, :-1])
            other_losses.append(-theirs[rows, following])
            divergences.append((np.exp(theirs) * (theirs - mine)).sum(-1))
            agreements.append(mine.argmax(-1) == theirs.argmax(-1))

    def mean(parts):
        return float(np.concatenate(parts).mean())

    report = {"perplexity": float(np.exp(mean(losses))), "tokens": int(sum(map(len, losses)))}
    if other:
        report |= {"kld": mean(divergences), "top1": mean(agreements), "reference_perplexity": float(np.exp(mean(other_losses)))}
    return report


def relative_error(actual, expected):
    actual, expected = np.asarray(actual, np.float64).ravel(), np.asarray(expected, np.float64).ravel()
    scale = np.linalg.norm(expected)
    return float(np.linalg.norm(actual - expected) / scale) if scale else float(np.linalg.norm(actual - expected))


def evaluate_arrays(model, reference, data):
    """Runs one set of inputs (keys `in:NAME` or NAME): relative error ‖a-b‖/‖b‖ per output."""
    prefixed = any(name.startswith("in:") for name in data)
    inputs = {name.removeprefix("in:"): array for name, array in data.items() if name.startswith("in:") or not prefixed}
    outputs = model(inputs)
    expected = reference(inputs) if reference else {name[4:]: array for name, array in data.items() if name.startswith("out:")}
    if not expected:
        raise UsageError("nothing to compare with: give --against, or data with out:NAME arrays")
    missing = set(expected) - set(outputs)
    if missing:
        raise UsageError(f"the model has no output '{sorted(missing)[0]}'")
    return {"outputs": {name: relative_error(outputs[name], expected[name]) for name in expected}}


def tensor_quality(model):
    """Signal-to-noise ratio in dB per quantized tensor, where the compiler measured it."""
    tensors = (model.manifest.get("quality") or {}).get("tensors") or {}
    return {name: row["sqnr"] if isinstance(row, dict) else row for name, row in tensors.items()}


def arguments():
    parser = argparse.ArgumentParser(prog="qcc-eval", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="an artifact, or an ONNX model that is compiled first")
    parser.add_argument("--against", help="the model to compare with (FILE.qcc or MODEL.onnx, which is compiled to float32)")
    parser.add_argument("--data", required=True, help="a text, or an npz file of inputs (and out:NAME arrays)")
    parser.add_argument("--tokenizer", help="tokenizer.json or llama2.c's tokenizer.bin (else the one beside the model)")
    parser.add_argument("--fmt", default="float32", help="what MODEL.onnx is compiled to (float32)")
    parser.add_argument("--ctx", type=int, default=512)
    parser.add_argument("--windows", type=int, default=0, help="evaluate at most this many (all)")
    parser.add_argument("--documents", metavar="REGEX")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", help="where an artifact runs: cpu, cuda, cuda:N, emulate (cpu where it has code for it, else cuda)")
    parser.add_argument("--fail-if", action="append", default=[], metavar="EXPR", help="exit 1 if it holds: 'kld>0.03', 'outputs.logits>1e-3'")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(argv=None):
    options = arguments().parse_args(argv)
    start = time.monotonic()
    try:
        gates = [parse_gate(text) for text in options.fail_if]
        if options.ctx < 2 or options.windows < 0:
            raise UsageError("--ctx takes 2 and more, --windows 0 and more")
        with tempfile.TemporaryDirectory() as folder:
            model = open_model(options.model, folder, options.threads, options.fmt, options.device)
            reference = open_model(options.against, folder, options.threads, "float32") if options.against else None
            if options.data.endswith(".npz"):
                with np.load(options.data) as data:
                    report = evaluate_arrays(model, reference, dict(data))
            else:
                tokenizer = tokenizers.load(options.tokenizer or options.model)
                text = Path(options.data).read_text(encoding="utf8")
                report = evaluate_text(model, reference, token_windows(text, tokenizer, options.ctx, options.windows, options.documents))
            report["tensors"] = tensor_quality(model)
        report["seconds"] = round(time.monotonic() - start, 3)
        failed = [gate[0] for gate in gates if holds(gate, report)]
    except (UsageError, qcc.CompileError, qcc.RunError, OSError, ValueError, RuntimeError) as error:
        print(f"qcc-eval: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            for member, number in value.items() if isinstance(value, dict) else [(None, value)]:
                print(f"{name}{'.' + member if member else ''}: {number:.6g}" if isinstance(number, float) else f"{name}: {number}")
    for text in failed:
        print(f"qcc-eval: {text} holds", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
