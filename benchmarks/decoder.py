#!/usr/bin/env python3
"""A decoder's prefill and token-by-token speed beside llama.cpp's, at equal bytes per token, in one run.

    decoder.py MODEL_FOLDER [--gguf=FILE] [--threads=1,2] [--prefill=512] [--decode=128] [--rounds=3]

MODEL_FOLDER holds model.onnx. With --gguf and the Python package llama-cpp-python installed, the same model is requantized to F32, Q8_0 and Q4_0
and run beside ours. Every figure is the median of the rounds, with the smallest and the largest; the rounds of ours and of the peer alternate,
because a machine's speed moves within minutes. Both compute the logits of the last position alone. Prints a table in Markdown and the processor's name.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(__file__).resolve().parents[1] / "build" / "bin"
PAIRS = (("float32", "F32"), ("int8-g32", "Q8_0"), ("int4-g32", "Q4_0"))


def ours(artifact, threads, options):
    done = subprocess.run([BIN / "qcc-run", artifact, "--bench=1", f"--prefill={options.prefill}", f"--decode={options.decode}", f"--threads={threads}",
                           "--json"], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    return report["prefill_tokens_per_s"], report["decode_tokens_per_s"]


def requantize(gguf, kind, folder):
    import llama_cpp
    target = Path(folder) / f"{kind}.gguf"
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = {"F32": llama_cpp.LLAMA_FTYPE_ALL_F32, "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}[kind]
    parameters.allow_requantize = True
    if llama_cpp.llama_model_quantize(str(gguf).encode(), str(target).encode(), parameters):
        raise RuntimeError(f"llama.cpp cannot quantize to {kind}")
    return target


def theirs(model, options):
    vocabulary = model.n_vocab()
    tokens = [(7919 * i) % vocabulary for i in range(1, options.prefill + options.decode + 1)]
    model.reset()
    begun = time.perf_counter()
    model.eval(tokens[:options.prefill])
    prefilled = time.perf_counter()
    for token in tokens[options.prefill:]:
        model.eval([token])
    return options.prefill / (prefilled - begun), options.decode / (time.perf_counter() - prefilled)


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown processor"),
          "family", next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("cpu family")), "?"))
    print("| format | threads | MB per token | prefill t/s | llama.cpp | ratio | decode t/s | llama.cpp | ratio |")
    print("| --- " * 9 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for fmt, kind in PAIRS:
            artifact = Path(folder) / f"{fmt}.qcc"
            subprocess.run([BIN / "qcc", options.model / "model.onnx", f"--fmt={fmt}", "--last-logits", "-o", artifact], check=True)
            plan = json.loads(subprocess.run([BIN / "qcc", options.model / "model.onnx", f"--fmt={fmt}", "--print-plan=json"], check=True,
                                             capture_output=True, text=True).stdout)
            megabytes = sum(row["bytes"] for row in plan["linears"]) / 1e6
            peer = requantize(options.gguf, kind, folder) if options.gguf else None
            for threads in map(int, options.threads.split(",")):
                if peer:
                    import llama_cpp
                    model = llama_cpp.Llama(str(peer), n_ctx=options.prefill + options.decode + 8, n_batch=512, n_threads=threads, n_threads_batch=threads,
                                            verbose=False)
                    theirs(model, options)
                mine, other = [], []
                for _ in range(options.rounds):
                    mine.append(ours(artifact, threads, options))
                    if peer:
                        other.append(theirs(model, options))
                cells = [fmt, str(threads), f"{megabytes:.0f}" + (f" / {os.path.getsize(peer) / 1e6:.0f}" if peer else "")]
                for i in (0, 1):
                    a = [row[i] for row in mine]
                    b = [row[i] for row in other]
                    cells += [spread(a), spread(b) if b else "not run", f"{statistics.median(a) / statistics.median(b):.2f}" if b else ""]
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
