#!/usr/bin/env python3
"""ONNX's own backend tests through qcc and qcc-run.

    run.py [--modes=as-is,dynamic,initializers] [--filter=REGEX] [-v]     run and count
    run.py --check                                                       fail where a test got worse than expected.tsv says
    run.py --update                                                      run all modes; rewrite expected.tsv and docs/conformance.md
    run.py --target=sm_80                                                on a GPU, emulated (the environment's QCC_DEVICE names another device)

Each test is a model with inputs and expected outputs. Modes: `as-is`; `dynamic`, where every dimension of every input is known at
run time only; `initializers`, where the constants stored in the model arrive as inputs. Outcomes, best first:

    pass          within ONNX's own tolerance (relative 1e-3, absolute 1e-7)
    unsupported   qcc ends with status 2 and an error that says what it cannot compile
    wrong         other values, shapes or types, or a run-time error
    crash         a signal, a time-out, any other exit status, or a refusal without an error
"""
import argparse
import collections
import concurrent.futures
import csv
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.runner import Runner

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build"))
ARCHIVES = ROOT.parent / "shared" / "data" / "conformance"
EXPECTED = Path(__file__).with_name("expected.tsv")
DOCUMENT = ROOT / "docs" / "conformance.md"
MODES = ("as-is", "dynamic", "initializers")
OUTCOMES = ("pass", "unsupported", "wrong", "crash")
TIMEOUT = 120
RTOL, ATOL = 1e-3, 1e-7

Result = collections.namedtuple("Result", "outcome reason")


def unpack(archives):
    """The folder with the tests of all archives, unpacked once per content."""
    target = BUILD / "conformance" / "data"
    for archive in archives:
        folder = target / f"{archive.name.removesuffix('.tar.xz')}-{archive.stat().st_size}"
        if folder.exists():
            continue
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = tempfile.mkdtemp(dir=folder.parent.parent)
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter="data")
        os.rename(partial, folder)
    return target


def find_tests(data):
    """{kind/name: folder}; kinds are node, simple, pytorch-operator, pytorch-converted."""
    return {f"{path.parents[1].name}/{path.parent.name}": path.parent for path in sorted(data.rglob("model.onnx"))}


def make_dynamic(model):
    for kind, values in (("i", model.graph.input), ("o", model.graph.output)):
        for index, value in enumerate(values):
            if value.type.HasField("tensor_type"):
                for axis, dim in enumerate(value.type.tensor_type.shape.dim):
                    dim.dim_param = f"{kind}{index}_{axis}"
    del model.graph.value_info[:]


def initializers_to_inputs(model):
    """Returns {name: array} of what has to be passed; empty when the model holds no initializers."""
    arrays = {}
    known = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        arrays[tensor.name] = numpy_helper.to_array(tensor)
        if tensor.name not in known:
            model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    del model.graph.initializer[:]
    return arrays


def read_tensors(folder, kind, values):
    """The arrays of input_N.pb or output_N.pb, by the model's names."""
    arrays = {}
    for index, value in enumerate(values):
        path = folder / f"{kind}_{index}.pb"
        if not path.exists():
            break
        if not value.type.HasField("tensor_type"):
            raise TypeError(f"'{value.name}' is no tensor")
        arrays[value.name] = numpy_helper.to_array(onnx.load_tensor(str(path)))
        if arrays[value.name].dtype == object:
            raise TypeError(f"'{value.name}' holds strings")
    return arrays


def storable(array):
    """npz has no bfloat16, float8 or 4-bit types: their bits travel as unsigned integers."""
    return array if array.dtype.isbuiltin == 1 else array.view(f"u{array.dtype.itemsize}")


def restored(array, dtype):
    return array.view(dtype) if dtype.isbuiltin != 1 and array.dtype.itemsize == dtype.itemsize and array.dtype.kind in "iuV" else array


def run_program(command):
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", timeout=TIMEOUT, stdin=subprocess.DEVNULL)
        return done.returncode, done.stderr.strip()
    except subprocess.TimeoutExpired:
        return None, f"no end after {TIMEOUT} s"


def compile_model(model, folder, target):
    source, artifact = folder / "model.onnx", folder / "model.qcc"
    onnx.save(model, source)
    status, message = run_program([BUILD / "bin/qcc", source, "--fmt=float32", f"--target={target}", "-o", artifact])
    if status == 0:
        return artifact, None
    if status == 2 and re.search(r"error: \S", message):
        return None, Result("unsupported", message)
    return None, Result("crash", f"qcc: status {status}: {message[-400:]}")


def compare_case(model, artifact, case, folder, extra, device):
    inputs = {**extra, **read_tensors(case, "input", [value for value in model.graph.input if value.name not in extra])}
    expected = read_tensors(case, "output", model.graph.output)
    source, target = folder / "in.npz", folder / "out.npz"
    np.savez(source, **{name: storable(array) for name, array in inputs.items()})
    status, message = run_program([BUILD / "bin/qcc-run", artifact, f"--in={source}", f"--out={target}", *device])
    if status not in (0, 1, 2):
        return Result("crash", f"qcc-run: status {status}: {message[-400:]}")
    if status:
        return Result("wrong", f"qcc-run: {message[-400:]}")
    with np.load(target) as outputs:
        missing = set(expected) - set(outputs.files)
        if missing:
            return Result("wrong", f"no output '{sorted(missing)[0]}'")
        actual = [restored(outputs[name], array.dtype) for name, array in expected.items()]
    try:
        Runner.assert_similar_outputs(list(expected.values()), actual, RTOL, ATOL)
    except (AssertionError, TypeError, ValueError) as difference:
        return Result("wrong", " ".join(str(difference).split())[:400])
    return Result("pass", "")


def run_test(folder, mode, target):
    """The outcome of one test in one mode; None where the mode changes nothing about the model."""
    model = onnx.load(folder / "model.onnx")
    extra = {}
    if mode == "dynamic":
        make_dynamic(model)
    elif mode == "initializers":
        extra = initializers_to_inputs(model)
        if not extra:
            return None
    device = [f"--device={os.environ.get('QCC_DEVICE', 'emulate')}"] if target.startswith("sm_") else ["--threads=1"]
    with tempfile.TemporaryDirectory(prefix="qcc-conformance-") as work:
        artifact, failure = compile_model(model, Path(work), target)
        if failure:
            return failure
        for case in sorted(folder.glob("test_data_set_*")):
            try:
                result = compare_case(model, artifact, case, Path(work), extra, device)
            except TypeError as error:
                return Result("wrong", f"compiled, but {error}")
            if result.outcome != "pass":
                return result
        return result


def run_all(tests, modes, jobs, target):
    """{test: {mode: Result}}; a mode that changes nothing has the outcome of `as-is` when that was run."""
    results = {name: {} for name in tests}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(run_test, folder, mode, target): (name, mode) for name, folder in tests.items() for mode in modes}
        for future in concurrent.futures.as_completed(running):
            name, mode = running[future]
            results[name][mode] = future.result()
    for by_mode in results.values():
        for mode in [mode for mode, result in by_mode.items() if result is None]:
            if "as-is" in by_mode:
                by_mode[mode] = by_mode["as-is"]
            else:
                del by_mode[mode]
    return results


def read_expected():
    if not EXPECTED.exists():
        return {}
    with EXPECTED.open(newline="") as file:
        return {row.pop("test"): row for row in csv.DictReader(file, delimiter="\t")}


def write_expected(results):
    with EXPECTED.open("w") as file:
        print("test", *MODES, sep="\t", file=file)
        for name in sorted(results):
            print(name, *(results[name][mode].outcome for mode in MODES), sep="\t", file=file)


def operator_of(folder):
    """The operator a test is about: its single node's; a test ending in _expanded belongs to the one it expands."""
    name = re.sub(r"_expanded(_ver\d+)?$", "", folder.name)
    source = folder.with_name(name) if (folder.with_name(name) / "model.onnx").exists() else folder
    nodes = onnx.load(source / "model.onnx").graph.node
    if len(nodes) != 1:
        return f"(several, {folder.parent.name} tests)"
    domain = nodes[0].domain
    return f"{domain}.{nodes[0].op_type}" if domain not in ("", "ai.onnx") else nodes[0].op_type


def write_document(tests, results):
    rows = collections.defaultdict(collections.Counter)
    totals = {mode: collections.Counter(result[mode].outcome for result in results.values()) for mode in MODES}
    for name, folder in tests.items():
        row = rows[operator_of(folder)]
        row["tests"] += 1
        for mode in MODES:
            row[mode, results[name][mode].outcome] += 1
    node = collections.Counter(results[name]["as-is"].outcome for name in tests if name.startswith("node/"))
    lines = [
        "# Conformance", "",
        "ONNX's own backend tests (release 1.22.0), compiled for the machine at hand in float32 and compared with ONNX's tolerance. Generated by",
        "`test/conformance/run.py --update`; `tools/dev/check` fails if a test gets worse.", "",
        "*as is*: the model of the test. *dynamic*: every dimension of every input is known at run time only. *initializers*: the constants stored in the",
        "model arrive as inputs. *unsupported* is a clear error that names the node; *wrong* are other values or a run-time error.", "",
        f"Node tests as they are: {node['pass']} of {sum(node.values())} pass, {node['unsupported']} are unsupported, {node['wrong']} wrong, {node['crash']} crash.", "",
        "| all tests | " + " | ".join(OUTCOMES) + " |", "| --- " * (len(OUTCOMES) + 1) + "|",
        *(f"| {mode} | " + " | ".join(str(totals[mode][outcome]) for outcome in OUTCOMES) + " |" for mode in MODES), "",
        "| operator | tests | pass | unsupported | wrong | crash | dynamic: pass | initializers: pass |", "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for operator, row in sorted(rows.items(), key=lambda item: (item[0].startswith("("), item[0])):
        counts = [row["tests"], *(row["as-is", outcome] for outcome in OUTCOMES), row["dynamic", "pass"], row["initializers", "pass"]]
        lines.append(f"| {operator} | " + " | ".join(str(count) if count else "" for count in counts) + " |")
    DOCUMENT.write_text("\n".join(lines) + "\n")


def report_changes(results, expected):
    """Prints what differs from expected.tsv and returns (rows as good as expected, rows that are worse or unknown)."""
    good = worse = better = 0
    for name, by_mode in sorted(results.items()):
        for mode, result in by_mode.items():
            before = expected.get(name, {}).get(mode)
            if before is None:
                print(f"{name} [{mode}]: not in expected.tsv; run.py --update adds it")
            elif OUTCOMES.index(result.outcome) > OUTCOMES.index(before):
                print(f"{name} [{mode}]: {before} became {result.outcome}: {result.reason.splitlines()[0] if result.reason else ''}")
            else:
                good += 1
                better += result.outcome != before
                continue
            worse += 1
    if better:
        print(f"{better} rows got better; run.py --update keeps that")
    return good, worse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", default="as-is")
    parser.add_argument("--target", default="native")
    parser.add_argument("--filter", type=re.compile)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    parser.add_argument("-v", "--verbose", action="store_true", help="print every test that does not pass, and why")
    options = parser.parse_args()
    modes = MODES if options.update else tuple(options.modes.split(","))
    if not set(modes) <= set(MODES):
        parser.error(f"modes are {', '.join(MODES)}")
    archives = sorted(ARCHIVES.glob("*.tar.xz"))
    if not archives:
        print("skipped: ../shared/data/conformance has no archives here\n0 passed, 0 failed")
        return 0
    start = time.monotonic()
    tests = find_tests(unpack(archives))
    if options.filter:
        tests = {name: folder for name, folder in tests.items() if options.filter.search(name)}
    results = run_all(tests, modes, options.jobs, options.target)
    (BUILD / "conformance" / "results.json").write_text(json.dumps(
        {name: {mode: result._asdict() for mode, result in by_mode.items()} for name, by_mode in sorted(results.items())}, indent=1))
    if options.verbose:
        for name, by_mode in sorted(results.items()):
            for mode, result in by_mode.items():
                if result.outcome != "pass":
                    print(f"{name} [{mode}] {result.outcome}: {result.reason}")
    for mode in modes:
        counts = collections.Counter(by_mode[mode].outcome for by_mode in results.values() if mode in by_mode)
        print(f"{mode}: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES))
    print(f"{time.monotonic() - start:.0f} s; the reasons are in {BUILD / 'conformance' / 'results.json'}")
    if options.update:
        if options.filter or options.target != "native":
            parser.error("--update runs all tests here: no --filter and no --target")
        write_expected(results)
        write_document(tests, results)
    if options.check:
        good, worse = report_changes(results, read_expected())
        print(f"{good} passed, {worse} failed")
        return 1 if worse else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
