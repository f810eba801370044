"""Where the programs, the shipped model and the shared models are; tests that need the latter skip without them."""
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QCC_BUILD_DIR", ROOT / "build"))
SHARED = ROOT.parent / "shared" / "data"
os.environ.setdefault("QCC_DIR", str(BUILD))


@pytest.fixture(scope="session")
def shared():
    if not SHARED.is_dir():
        pytest.skip("needs the models in ../shared/data")
    return SHARED


@pytest.fixture(scope="session")
def stories():
    return ROOT / "models" / "stories260K"


@pytest.fixture(scope="session")
def program():
    """Runs one of qcc's programs: program(name, argument...) -> CompletedProcess with text output."""
    def run(name, *arguments, timeout=300):
        return subprocess.run([str(BUILD / "bin" / name), *map(str, arguments)], capture_output=True, text=True, errors="replace", timeout=timeout)
    return run
