"""Runs the test suites on a finished build and ends with one line 'N passed, N failed'.

    suites.py [--full] [lint unit lit roundtrip pytest conformance]      no name means all

Equal programs are compiled once: what the suites compile is kept in the build folder, for one build of the compiler. --full runs all cases
of large matrices and compiles everything anew.

Exit status 1 if a test failed or a suite could not run.
"""
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build"))
LIT = "/usr/lib/llvm-22/bin/lit"
WORKERS = str(os.cpu_count() or 1)


def share_code(is_full):
    """Programs of the suites inherit it. The keys of code that is kept tell one build of the compiler from another; old ones' is of no use."""
    os.environ.pop("QCC_CODE_CACHE", None)
    if is_full:
        os.environ["QCC_TEST_FULL"] = "1"
        return
    folder, compiler = BUILD / "test-code", BUILD / "bin/qcc"
    stamp = folder / "compiler"
    made = str(compiler.stat().st_mtime_ns) if compiler.exists() else ""
    if not stamp.exists() or stamp.read_text() != made:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        stamp.write_text(made)
    os.environ["QCC_CODE_CACHE"] = str(folder)


def run(command, **options):
    print("+", " ".join(map(str, command)), flush=True)
    return subprocess.run(list(map(str, command)), cwd=ROOT, **options).returncode


def counted(command, report, **options):
    """Runs a suite that writes JUnit XML; a suite that breaks without a failed test counts as one failure."""
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    status = run(command, **options)
    passed = failed = 0
    if report.exists():
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            kinds = {child.tag for child in case}
            failed += bool(kinds & {"failure", "error"})
            passed += not kinds & {"failure", "error", "skipped"}
    if status and not failed:
        failed = 1
    return passed, failed


def lint():
    status = run([ROOT / "tools/dev/lint"])
    return int(not status), int(bool(status))


def unit():
    return counted(["ctest", "--test-dir", BUILD, "-j", WORKERS, "--output-on-failure", "--no-tests=error", "--output-junit", REPORTS / "unit.xml"],
                   REPORTS / "unit.xml")


def lit(report="lit.xml", **environment):
    return counted([LIT, "-v", "-q", "-j", WORKERS, "--xunit-xml-output", REPORTS / report, BUILD / "test"], REPORTS / report,
                   env={**os.environ, **environment})


def roundtrip():
    return lit("roundtrip.xml", QCC_TEST_ROUNDTRIP="1")


def pytest():
    return counted([sys.executable, "-m", "pytest", "-q", "-n", WORKERS, "--dist", "worksteal", "--junitxml", REPORTS / "pytest.xml", "test"], REPORTS / "pytest.xml")


def conformance():
    print("+ conformance", flush=True)
    run_ = subprocess.run([sys.executable, ROOT / "test/conformance/run.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    print(run_.stdout + run_.stderr, flush=True)
    counts = re.search(r"^(\d+) passed, (\d+) failed$", run_.stdout, re.M)
    passed, failed = map(int, counts.groups()) if counts else (0, 0)
    return passed, failed if failed or not run_.returncode else 1


REPORTS = BUILD / "test-reports"
SUITES = {suite.__name__: suite for suite in (lint, unit, lit, roundtrip, pytest, conformance)}


def main(arguments):
    names = [argument for argument in arguments if argument != "--full"]
    unknown = set(names) - set(SUITES)
    if unknown:
        print(f"unknown suite: {', '.join(sorted(unknown))}; there are: {', '.join(SUITES)}", file=sys.stderr)
        return 2
    share_code("--full" in arguments)
    results = {name: SUITES[name]() for name in names or SUITES}
    for name, (passed, failed) in results.items():
        print(f"{name}: {passed} passed, {failed} failed")
    passed, failed = (sum(column) for column in zip(*results.values()))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
