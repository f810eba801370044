"""Each house rule finds what it is there for and leaves the rest alone."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "dev"))
import lint_rules

GUARDED = "#ifndef QCC_PACK_PACK_H\n#define QCC_PACK_PACK_H\n#endif\n"
BLOCK = "".join(f"  value{i} = compute(value{i - 1}, {i});\n" for i in range(1, 13))

BAD = [
    (lint_rules.file_length, {"lib/A.cpp": "x\n" * 1001}),
    (lint_rules.file_length, {"dialects/a/A.td": "x\n" * 501}),
    (lint_rules.file_length, {"include/qcc/A.h": "x\n" * 301}),
    (lint_rules.sources_per_folder, {f"lib/Pack/S{i}.cpp": "" for i in range(21)}),
    (lint_rules.drawer_names, {"lib/Pack/PackUtils.cpp": ""}),
    (lint_rules.drawer_names, {"lib/common/Pack.cpp": ""}),
    (lint_rules.drawer_names, {"tools/dev/misc.py": ""}),
    (lint_rules.drawer_names, {"test/test_helpers.py": ""}),
    (lint_rules.include_directions, {"dialects/qnt/Qnt.cpp": '#include "qcc/Format/Format.h"\n'}),
    (lint_rules.include_directions, {"lib/Runtime/Session.cpp": '#include "llvm/ADT/StringRef.h"\n'}),
    (lint_rules.include_directions, {"tools/qcc-run/main.cpp": "#include <mlir/IR/Builders.h>\n"}),
    (lint_rules.include_guards, {"include/qcc/Pack/Pack.h": "#ifndef QCC_PACK_H_OF_OLD\n#define QCC_PACK_H_OF_OLD\n#endif\n"}),
    (lint_rules.command_line_options, {"lib/Pack/Pack.cpp": "static llvm::cl::opt<int> x;\n"}),
    (lint_rules.open_ends, {"lib/Pack/Pack.cpp": "// TODO: later\n"}),
    (lint_rules.places, {"lib/Pack/Pack.cpp": "// see ../shared/x\n"}),
    (lint_rules.places, {"test/a.py": "open('/work/x')\n"}),
    (lint_rules.places, {"docs/a.md": "written by an agent\n"}),
    (lint_rules.places, {"docs/a.md": "from pypi.org\n"}),
    (lint_rules.repeated_code, {"lib/A.cpp": BLOCK, "lib/B.cpp": BLOCK}),
]

GOOD = {
    "lib/A.cpp": "x\n" * 1000,
    "include/qcc/Pack/Pack.h": GUARDED,
    "dialects/qnt/Qnt.cpp": '#include "mlir/IR/Builders.h"\n',
    "lib/Runtime/Session.cpp": '#include "qcc/Runtime/qcc.h"\n// a session holds the cache\n',
    "lib/Pack/Utilization.cpp": BLOCK,
    "tools/qcc/main.cpp": "static llvm::cl::opt<int> x;\n",
    "test/e2e/test_models.py": 'SHARED = ROOT / "../shared/data"\n',
}


@pytest.mark.parametrize("rule, tree", BAD, ids=lambda value: getattr(value, "__name__", None) or next(iter(value)))
def test_rule_finds_a_violation(rule, tree):
    assert list(rule(tree))


def test_a_clean_tree_has_no_findings():
    assert lint_rules.check(GOOD) == []


def test_formatting_is_checked(tmp_path):
    (tmp_path / "a.cpp").write_text("int  main( ) {return 0 ;}\n")
    assert lint_rules.check_formatting(tmp_path, {"a.cpp": ""})
    lint_rules.format_sources(tmp_path, {"a.cpp": ""})
    assert (tmp_path / "a.cpp").read_text() == "int main() { return 0; }\n"
    assert lint_rules.check_formatting(tmp_path, {"a.cpp": ""}) == []
