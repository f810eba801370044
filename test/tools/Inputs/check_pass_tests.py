"""Takes what qcc-opt --list-passes prints and a folder: each of qcc's passes has a description, and a test NAME.mlir there."""
import re
import sys
from pathlib import Path

listing, folder = Path(sys.argv[1]).read_text(), Path(sys.argv[2])
UPSTREAM = {"canonicalize", "cse"}
rows = dict(re.findall(r"^  --([a-z0-9-]+?) *-(?: +(.*))?$", listing, re.M))
own = [name for name in rows if name not in UPSTREAM]
assert own, listing
for name in own:
    assert rows[name], f"pass '{name}' has no description"
    assert (folder / f"{name}.mlir").is_file(), f"pass '{name}' has no test {folder}/{name}.mlir"
