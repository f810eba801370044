#!/usr/bin/env python3
"""What quantization costs, format by format and method by method: perplexity, KL divergence, top-1, bits per weight, seconds, memory.

    .venv/bin/python benchmarks/quality.py smollm2 --model=DIR [--rows=PATTERN]     # measures what is not known yet, a row at a time
    .venv/bin/python benchmarks/quality.py stories260k
    .venv/bin/python benchmarks/quality.py --print                                  # the table, as quality.md holds it

DIR is a folder that make_smollm2.py has written: model.onnx and tokenizer.json. Rows that were measured stand in --results and are left out the
next time, so that the script may be stopped at any moment. Weights are those of the linear layers; head and embedding stay in float32.
"""
import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
TEXT = ROOT.parent / "shared/data/text"
FOUR_BITS = ["int4-g128-asym", "int4-g64-asym", "int4-g32-asym", "int4-g32", "nf4", "nvfp4", "mxfp4"]
CALIBRATED = "--calib"
CACHES = ["float16", "int8", "fp8", "int4", "int8,int4", "int4,int8"]
METHODS = ["rtn", "hqq", "gptq", "awq", "awq+gptq"]


def rows():
    """(what is asked for, options), the cheap ones first."""
    yield "float32", ["--fmt=float32"]
    yield "int8 rtn", ["--fmt=int8", "--act=f32"]
    yield "W8A8 rtn", ["--fmt=int8", "--act=auto"]
    for method in METHODS:
        for fmt in [*FOUR_BITS, "int3-g32-asym", "int3-g32"]:
            if method != "hqq" or fmt.endswith("asym"):
                yield f"{fmt} {method}", [f"--fmt={fmt}", "--act=f32", f"--method={method}"]
    yield "W8A8 smoothquant", ["--fmt=int8", "--act=auto", "--method=smoothquant"]
    for name, weights in (("float32", ["--fmt=float32"]), ("W8A8", ["--fmt=int8", "--act=auto"])):
        for cache in CACHES:
            yield f"{name} KV {cache}", [*weights, f"--kv={cache}"]
            if "int" in cache:
                yield f"{name} KV {cache}, calibrated", [*weights, f"--kv={cache}", CALIBRATED]
    for budget in ("4.5", "4.0", "3.5", "3.0"):
        yield f"auto {budget}", ["--fmt=auto", "--act=f32", "--method=awq+gptq", f"--budget={budget}bpw"]


def watch_memory(pid, row):
    """The most memory a process has had. What the system tells at its end counts this script's own too, from which it was forked."""
    while True:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        most = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        if not most:
            return
        row["peak_mib"] = max(row["peak_mib"], int(most[0]) // 1024)
        time.sleep(0.05)


class Subject:
    """A model, the data it is calibrated on and the text it is measured on."""

    def __init__(self, arguments, folder):
        self.folder, self.bin = Path(folder), Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build")) / "bin"
        sys.path.insert(0, str(ROOT / "python"))
        os.environ.setdefault("QCC_DIR", str(self.bin.parent))
        from qcc import samples
        from qcc import tokenizer as tokenizers
        if arguments.subject == "smollm2":
            self.model, tokenizer = Path(arguments.model) / "model.onnx", Path(arguments.model) / "tokenizer.json"
            text, ctx, windows, calibration = TEXT / "wiki.test.raw", 512, 16, (100, 132)
        else:
            self.model, tokenizer = ROOT / "models/stories260K/model.onnx", ROOT / "models/stories260K/tokenizer.bin"
            text, ctx, windows, calibration = TEXT / "tinystories-100k.txt", 256, 48, (60, 92)
        self.data = self.folder / "calibration.npz"
        tokens = tokenizers.load(tokenizer).encode(text.read_text(encoding="utf8"))
        np.savez(self.data, input_ids=samples.windows_of(tokens, ctx, *calibration))
        self.windows = samples.windows_of(tokens, ctx, 0, windows)[:, 0]
        self.cache = arguments.cache
        reference = self.folder / "float32.qcc"
        self.run("qcc", self.model, "--fmt=float32", "-o", reference)
        self.expected = []  # log probabilities of the float program, by window; on disk, for they are many
        for index, logits in enumerate(self.logits(reference)):
            np.save(self.folder / f"{index}.npy", log_probabilities(logits))
            self.expected.append(self.folder / f"{index}.npy")

    def run(self, name, *options):
        return subprocess.run([self.bin / name, *map(str, options)], check=True, capture_output=True, text=True).stdout

    def measure(self, options):
        out = self.folder / "row.qcc"
        needs_data = CALIBRATED in options or any(word in " ".join(options) for word in ("gptq", "awq", "smoothquant", "fmt=auto"))
        command = [self.bin / "qcc", self.model, *(option for option in options if option != CALIBRATED), "--head-fmt=float32", "-o", out]
        command += [f"--calib={self.data}"] if needs_data else []
        command += [f"--calib-cache={self.cache}"] if needs_data and self.cache else []
        begin = time.monotonic()
        process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE)
        row = {"peak_mib": 0}
        watch = threading.Thread(target=watch_memory, args=(process.pid, row))
        watch.start()
        said = process.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        watch.join()
        if status:
            raise RuntimeError(said)
        row |= {"seconds": round(time.monotonic() - begin, 1), "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1)}
        linears = json.loads(self.run("qcc-inspect", out, "--json"))["plan"]["linears"]
        body = linears[:-1]  # the head is the last one
        row["bits"] = sum(8 * linear["bytes"] for linear in body) / sum(linear["inputs"] * linear["outputs"] for linear in body)
        return row | self.compare(out)

    def logits(self, artifact):
        import qcc
        from qcc.decoder import Decoder
        decoder = Decoder(qcc.load(artifact))
        for window in self.windows:
            decoder.reset()
            yield decoder(window)[0, :-1]

    def compare(self, artifact):
        losses, divergences, agreements = [], [], []
        for window, logits, path in zip(self.windows, self.logits(artifact), self.expected):
            mine, theirs = log_probabilities(logits), np.load(path)
            losses.append(-mine[np.arange(len(mine)), window[1:]])
            divergences.append((np.exp(theirs) * (theirs - mine)).sum(-1, dtype=np.float64))
            agreements.append(mine.argmax(-1) == theirs.argmax(-1))
        return {"perplexity": float(np.exp(np.mean(losses, dtype=np.float64))), "kld": float(np.mean(divergences)), "top1": float(np.mean(agreements))}


def log_probabilities(logits):
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True, dtype=np.float64)).astype(np.float32)


def table(results):
    lines = ["| weights | method | bits | perplexity | KL | same top-1 | processor seconds | peak MiB |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for name, row in results.items():
        fmt, _, method = name.partition(" ")
        lines.append(f"| {fmt} | {method} | {row['bits']:.2f} | {row['perplexity']:.3f} | {row['kld']:.4f} | {row['top1']:.1%} | {row['processor_seconds']:.0f} "
                     f"| {row['peak_mib'] or ''} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", nargs="?", choices=["smollm2", "stories260k"])
    parser.add_argument("--model", help="smollm2: the model's folder")
    parser.add_argument("--rows", default="*", help="a pattern for the rows' names; several with commas, in this order")
    parser.add_argument("--results", default=str(ROOT / "build/quality.json"))
    parser.add_argument("--cache", default="", help="a folder for --calib-cache; seconds then tell less")
    parser.add_argument("--print", action="store_true")
    arguments = parser.parse_args()
    results = Path(arguments.results)
    known = json.loads(results.read_text()) if results.exists() else {}
    if arguments.print:
        for subject, measured in known.items():
            order = {name: measured[name] for name, _ in rows() if name in measured}
            print(f"{subject}:\n\n{table(order)}\n")
        return
    wanted = {name: options for pattern in arguments.rows.split(",") for name, options in rows() if fnmatch.fnmatch(name, pattern)}
    with tempfile.TemporaryDirectory(prefix="qcc-quality-") as folder:
        subject = Subject(arguments, folder)
        for name, options in wanted.items():
            if name in known.get(arguments.subject, {}):
                continue
            row = subject.measure(options)
            known = json.loads(results.read_text()) if results.exists() else {}
            known.setdefault(arguments.subject, {})[name] = row
            part = results.with_suffix(".part")
            part.write_text(json.dumps(known, indent=1))
            part.rename(results)
            print(name, json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
