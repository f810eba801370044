"""Files for the fuzzers to begin with: seeds.py BUILD CORPUS writes small models to CORPUS/importer and artifacts and archives to CORPUS/artifact.

The models are those of ONNX's own backend tests where the archive is at hand, those that come with the onnx package, and one with a subgraph.
"""
import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = ROOT.parent / "shared" / "data" / "conformance"
LARGEST = 8192


def models(corpus):
    for archive in ARCHIVES.glob("*.tar.xz"):
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name.endswith("/model.onnx") and member.size <= LARGEST:
                    yield tar.extractfile(member).read()
    for path in (Path(onnx.__file__).parent / "backend" / "test" / "data").rglob("model.onnx"):
        if path.stat().st_size <= LARGEST:
            yield path.read_bytes()
    small = corpus / "small.onnx"
    subprocess.run([sys.executable, ROOT / "test/tools/Inputs/small_model.py", small], check=True)
    yield small.read_bytes()


def main(build, corpus):
    (corpus / "importer").mkdir(parents=True, exist_ok=True)
    (corpus / "artifact").mkdir(parents=True, exist_ok=True)
    count = 0
    for model in models(corpus):
        (corpus / "importer" / hashlib.sha1(model).hexdigest()).write_bytes(model)
        count += 1
    plain, made = corpus / "plain.onnx", corpus / "artifact" / "plain.qcc"
    subprocess.run([sys.executable, ROOT / "test/tools/Inputs/small_model.py", plain, "--plain"], check=True)
    subprocess.run([build / "bin/qcc", plain, "--target=x86-64-v2", "--fmt=int8", "-o", made], check=True)
    manifest = subprocess.run([build / "bin/qcc-inspect", made, "--json"], check=True, capture_output=True).stdout
    (corpus / "artifact" / "manifest.json").write_bytes(manifest)
    np.savez(corpus / "artifact" / "arrays.npz", a=np.arange(12, dtype=np.float32).reshape(3, 4), b=np.array(True), c=np.zeros((0, 2), np.int8))
    np.savez_compressed(corpus / "artifact" / "compressed.npz", a=np.zeros(100, np.float16))
    print(f"{count} models to begin with")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
