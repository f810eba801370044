"""Generated code that is kept in a folder: what is found there, what is not, and that artifacts are the same with and without."""
import os
import subprocess

import pytest

from small_models import BUILD, parse, qcc

MODEL = "agraph (float[n, 8] x) => (float[n, 8] y) { t = Exp (x) y = Softmax (t) }"
OTHER = "agraph (float[n, 8] x) => (float[n, 8] y) { t = Sin (x) y = Softmax (t) }"


@pytest.fixture(autouse=True)
def no_other_cache(monkeypatch):
    monkeypatch.delenv("QCC_CODE_CACHE", raising=False)


def build(folder, *options, graph=MODEL):
    done = qcc(parse(graph), folder, "-o", folder / "x.qcc", *options)
    assert done.returncode == 0, done.stderr
    return (folder / "x.qcc").read_bytes(), done.stderr


def entries(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.iterdir()) if path.stat().st_size} if folder.exists() else {}


@pytest.mark.parametrize("target", ["native", "x86-64-v2,x86-64-v3", "sm_80"])
def test_artifacts_are_the_same(target, tmp_path):
    cache, options = tmp_path / "made" / "here", [f"--target={target}"]
    plain, _ = build(tmp_path, *options)
    assert not entries(cache)
    first, said = build(tmp_path, *options, f"--code-cache={cache}")
    kept = entries(cache)
    assert len(kept) >= (2 if "," in target else 1) and not said
    again, said = build(tmp_path, *options, f"--code-cache={cache}")
    assert entries(cache) == kept and not said
    assert plain == first == again


def test_what_is_generated_from_another_program_or_for_another_target_is_not_taken(tmp_path):
    cache = tmp_path / "cache"
    build(tmp_path, "--target=x86-64-v2", f"--code-cache={cache}")
    for count, (graph, target) in enumerate([(OTHER, "x86-64-v2"), (MODEL, "x86-64-v3")], start=2):
        expected, _ = build(tmp_path, f"--target={target}", graph=graph)
        assert build(tmp_path, f"--target={target}", f"--code-cache={cache}", graph=graph)[0] == expected
        assert len(entries(cache)) == count


def test_names_of_nodes_do_not_count(tmp_path):
    """A node that may fail when the program runs is named by the artifact, not by its code."""
    cache, made = tmp_path / "cache", set()
    for name in ("first", "second"):
        model = parse("agraph (float[n] x, int64[1] shape) => (float[m] y) { y = Reshape (x, shape) }")
        model.graph.node[0].name = name
        for option in ("", f"--code-cache={cache}"):
            done = qcc(model, tmp_path, "-o", tmp_path / f"{name}{bool(option)}.qcc", *filter(None, [option]))
            assert done.returncode == 0, done.stderr
        made.add((tmp_path / f"{name}True.qcc").read_bytes())
        assert (tmp_path / f"{name}False.qcc").read_bytes() in made
    assert len(made) == 2 and len(entries(cache)) == 1


def test_plans_are_the_same(tmp_path):
    options = ["--print-plan=json", "--plan-lengths=n=5"]
    plain = qcc(parse(MODEL), tmp_path, *options).stdout
    for _ in range(2):
        assert qcc(parse(MODEL), tmp_path, *options, f"--code-cache={tmp_path / 'cache'}").stdout == plain


@pytest.mark.parametrize("damage", [lambda data: data[:len(data) // 2], lambda data: b"", lambda data: b"x" + data[1:], lambda data: data + b"x",
                                    lambda data: data[:500] + bytes([data[500] ^ 1]) + data[501:]])
def test_a_damaged_file_is_made_anew(damage, tmp_path):
    option = f"--code-cache={tmp_path / 'cache'}"
    expected, _ = build(tmp_path, option)
    (path,) = entries(tmp_path / "cache")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    artifact, said = build(tmp_path, option)
    assert artifact == expected and "is damaged" in said and path.name in said
    assert path.read_bytes() == whole
    assert build(tmp_path, option) == (expected, "")


def test_a_file_under_another_key_is_damaged(tmp_path):
    option = f"--code-cache={tmp_path / 'cache'}"
    expected, _ = build(tmp_path, option)
    (path,) = entries(tmp_path / "cache")
    build(tmp_path, option, graph=OTHER)
    (other,) = entries(tmp_path / "cache").keys() - {path}
    path.write_bytes(other.read_bytes())
    artifact, said = build(tmp_path, option)
    assert artifact == expected and "is damaged" in said


def test_processes_share_a_folder(tmp_path):
    expected, _ = build(tmp_path)
    command = [str(BUILD / "bin/qcc"), str(tmp_path / "model.onnx"), f"--code-cache={tmp_path / 'cache'}"]
    running = [subprocess.Popen([*command, "-o", str(tmp_path / f"{i}.qcc")], stderr=subprocess.PIPE) for i in range(4)]
    for i, process in enumerate(running):
        assert process.communicate(timeout=120)[1] == b"" and process.returncode == 0
        assert (tmp_path / f"{i}.qcc").read_bytes() == expected
    assert len(entries(tmp_path / "cache")) == 1


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    expected, _ = build(tmp_path)
    artifact, said = build(tmp_path, f"--code-cache={tmp_path / 'file' / 'cache'}")
    assert artifact == expected and "code is not kept for another time: cannot make the folder" in said


def test_the_environment_names_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("QCC_CODE_CACHE", str(tmp_path / "environment"))
    build(tmp_path)
    assert entries(tmp_path / "environment")
    build(tmp_path, f"--code-cache={tmp_path / 'option'}", graph=OTHER)
    assert entries(tmp_path / "option") and len(entries(tmp_path / "environment")) == 1


@pytest.mark.parametrize("options", [["--emit=lowered"], ["--emit=asm"], ["--dump-states-to=dumped"]])
def test_whoever_looks_at_the_program_sees_it_made(options, tmp_path):
    """Code that is there is no reason to leave its making out."""
    build(tmp_path, f"--code-cache={tmp_path / 'cache'}")
    options = [option.replace("dumped", str(tmp_path / "dumped")) for option in options]
    seen = [qcc(parse(MODEL), tmp_path, *options, *cache, "-o", tmp_path / "out") for cache in ([], [f"--code-cache={tmp_path / 'cache'}"])]
    assert [done.returncode for done in seen] == [0, 0]
    if "--emit" in options[0]:
        assert os.path.getsize(tmp_path / "out") > 1000
    else:
        assert any("llvm.func" in path.read_text(errors="replace") for path in (tmp_path / "dumped").rglob("*") if path.is_file())
