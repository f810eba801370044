"""The house rules, one function each: from {path: text} to findings. `check` runs all of them."""
import hashlib
import re
import shutil
import subprocess
from pathlib import PurePosixPath

LINE_LIMITS = {".cpp": 1000, ".c": 1000, ".py": 1000, ".td": 500, ".h": 300}
SOURCES_PER_FOLDER = 20
REPEATED_SHARE = 0.03
REPEAT_WINDOW = 8

# A program's code and what it may be made of; the rest of the tree (tests, benchmarks, documents) is judged by fewer rules.
PRODUCT = ("dialects/", "include/", "lib/", "tools/", "python/")
CPP = (".cpp", ".c", ".h")
CODE = CPP + (".py", ".td")

# Parts that must build and run where there is no LLVM.
WITHOUT_LLVM = ("lib/Ptxemu/", "include/qcc/Ptxemu/", "tools/ptxemu/", "lib/Runtime/", "lib/Artifact/", "lib/Npz/", "lib/Program/", "include/qcc/Runtime/", "include/qcc/Artifact/", "include/qcc/Npz/",
                "include/qcc/Program/", "tools/qcc-run/", "tools/qcc-inspect/")

DRAWERS = ("common", "util", "utils", "misc", "helper", "helpers", "manager")
PLACES = re.compile(r"/work/|/farm/|/root/|\.\./shared")
PLACE_WORDS = re.compile(r"\b(sub-?)?agents?\b|\bworkplace\b|\bsession's brief\b|\bissue #?\d+\b|\b(claude|anthropic|chatgpt|openai)\b", re.I)
REGISTRY_HOSTS = re.compile(r"\b(pypi\.org|pythonhosted\.org|deb\.debian\.org|apt\.llvm\.org|proxy\.golang\.org)\b")
RULES_THEMSELVES = ("tools/dev/lint_rules.py", "test/dev/test_lint.py")
TEST_AND_DEV = ("test/", "tools/dev/", ".ci/", "benchmarks/")


def read_tree(root):
    """Every text file that git tracks or would track, as {path relative to root: text}."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True).stdout.split("\n")
    tree = {}
    for name in sorted(set(filter(None, names))):
        path = root / name
        if not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            tree[name] = data.decode("utf-8", errors="replace")
    return tree


def product(tree):
    return {path: text for path, text in tree.items() if path.startswith(PRODUCT) and path.endswith(CODE)}


def lines_matching(path, text, pattern):
    for number, line in enumerate(text.split("\n"), 1):
        match = pattern.search(line)
        if match:
            yield f"{path}:{number}", match.group(0)


def file_length(tree):
    for path, text in tree.items():
        limit = LINE_LIMITS.get(PurePosixPath(path).suffix)
        lines = text.count("\n")
        if limit and lines > limit:
            yield f"{path}:{lines}: file-length: {lines} lines, the limit is {limit}"


def sources_per_folder(tree):
    counts = {}
    for path in tree:
        if path.endswith((".cpp", ".c")):
            folder = str(PurePosixPath(path).parent)
            counts[folder] = counts.get(folder, 0) + 1
    for folder, count in counts.items():
        if count > SOURCES_PER_FOLDER:
            yield f"{folder}:1: sources-per-folder: {count} sources, the limit is {SOURCES_PER_FOLDER}"


def drawer_names(tree):
    """A name that says nothing of what is inside: Common, StringUtils, misc.py. CamelCase and snake_case words count."""
    for path in tree:
        for part in PurePosixPath(path).parts:
            stem = part.split(".")[0]
            words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", stem)
            if words and words[-1].lower() in DRAWERS:
                yield f"{path}:1: drawer-name: '{part}' does not say what it holds"
                break


def include_directions(tree):
    include = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)')
    for path, text in tree.items():
        if not path.endswith(CPP):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            match = include.match(line)
            if not match:
                continue
            target = match.group(1)
            if path.startswith("dialects/") and target.startswith("qcc/"):
                yield f"{path}:{number}: include-direction: a dialect includes '{target}'; dialects know nothing of qcc/"
            if path.startswith(WITHOUT_LLVM) and target.startswith(("llvm", "mlir", "dialects/")):
                yield f"{path}:{number}: include-direction: '{target}' in a part that must build without LLVM"


def include_guards(tree):
    """A header is included once: #pragma once, or a guard that ends with the file's name (C headers). A precompiled header has none."""
    for path, text in tree.items():
        if path.endswith(".h") and not path.startswith("cmake/"):
            name = re.sub(r"[^A-Z0-9]", "_", PurePosixPath(path).name.upper())
            if not re.search(rf"^#pragma once$|^#ifndef (\w*{name})\n#define \1$", text, re.M):
                yield f"{path}:1: include-guard: neither #pragma once nor a guard that ends with {name}"


def command_line_options(tree):
    pattern = re.compile(r"\bcl::(opt|list|alias|bits)\b")
    for path, text in tree.items():
        if path.endswith(CPP) and not path.startswith("tools/"):
            for where, _ in lines_matching(path, text, pattern):
                yield f"{where}: command-line-option: cl::opt belongs to tools/; use an options struct or TableGen pass options"


def open_ends(tree):
    pattern = re.compile(r"\b(TODO|FIXME|XXX)\b")
    for path, text in tree.items():
        if path.endswith(CODE + (".cmake", ".md", "CMakeLists.txt")) and path not in RULES_THEMSELVES:
            for where, word in lines_matching(path, text, pattern):
                yield f"{where}: open-end: {word}"


def places(tree):
    """Paths and words of the machine or the way the project is developed; ../shared may stand in tests and developer scripts."""
    for path, text in tree.items():
        if path in RULES_THEMSELVES:
            continue
        for where, found in lines_matching(path, text, PLACES):
            if not (found == "../shared" and path.startswith(TEST_AND_DEV)):
                yield f"{where}: place: '{found}' is a path of a development machine"
        for where, found in lines_matching(path, text, PLACE_WORDS):
            yield f"{where}: place: '{found}' does not speak of the product"
        for where, found in lines_matching(path, text, REGISTRY_HOSTS):
            yield f"{where}: place: '{found}' names a package registry"


def code_lines(text):
    """(line number, normalised line) of lines that carry meaning: no blanks, comments, includes, lone punctuation."""
    in_block = False
    for number, line in enumerate(text.split("\n"), 1):
        line = re.sub(r"\s+", " ", line.strip())
        if in_block:
            in_block = "*/" not in line
            continue
        if line.startswith("/*"):
            in_block = "*/" not in line
            continue
        if len(line) < 4 or line.startswith(("//", "#", "import ", "from ", "using ", "namespace ", "return ")):
            continue
        yield number, line


def repeated_lines(tree):
    """{path: line numbers} of lines inside a window of REPEAT_WINDOW code lines that already stood elsewhere, and the count of all lines."""
    first, repeated, total = {}, {}, 0
    for path in sorted(tree):
        lines = list(code_lines(tree[path]))
        total += len(lines)
        for start in range(len(lines) - REPEAT_WINDOW + 1):
            window = lines[start:start + REPEAT_WINDOW]
            key = hashlib.blake2b("\n".join(line for _, line in window).encode(), digest_size=12).digest()
            origin = first.setdefault(key, (path, window[0][0]))
            overlaps_itself = origin[0] == path and abs(origin[1] - window[0][0]) < REPEAT_WINDOW
            if not overlaps_itself:
                repeated.setdefault(path, {}).update((number, origin) for number, _ in window)
    return repeated, total


def repeated_share(tree):
    repeated, total = repeated_lines(tree)
    return sum(map(len, repeated.values())) / total if total else 0.0


def repeated_code(tree):
    part = product(tree)
    repeated, total = repeated_lines(part)
    count = sum(map(len, repeated.values()))
    if total and count > REPEATED_SHARE * total:
        for path, lines in sorted(repeated.items()):
            number, (other, line) = min(lines.items())
            yield f"{path}:{number}: repeated-code: {len(lines)} lines also stand elsewhere, first at {other}:{line}"


RULES = (file_length, sources_per_folder, drawer_names, include_directions, include_guards, command_line_options, open_ends, places, repeated_code)


def check(tree):
    return [finding for rule in RULES for finding in rule(tree)]


def clang_format(root, tree, *options):
    tool = shutil.which("clang-format-22") or "/usr/lib/llvm-22/bin/clang-format"
    files = [path for path in tree if path.endswith(CPP)]
    return subprocess.run([tool, *options, *files], cwd=root, capture_output=True, text=True) if files else None


def format_sources(root, tree):
    clang_format(root, tree, "-i").check_returncode()


def check_formatting(root, tree):
    try:
        run = clang_format(root, tree, "--dry-run", "-Werror")
    except FileNotFoundError:
        return ["tools/dev/lint:1: format: clang-format-22 is missing; tools/dev/bootstrap installs it"]
    if run is None or run.returncode == 0:
        return []
    bad = {}
    for path, line in re.findall(r"^([^:\n]+):(\d+):\d+: error: ", run.stderr, re.M):
        bad.setdefault(path, line)
    if not bad:
        return [f"tools/dev/lint:1: format: {run.stderr.strip()[:200]}"]
    return [f"{path}:{line}: format: tools/dev/lint --fix mends it" for path, line in bad.items()]
