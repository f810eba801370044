"""`python -m qcc ...` is the qcc command line, with texts as calibration data: what `--calib` names that is no npz file is
tokenised with the tokenizer.json beside the model (or --tokenizer=FILE) and cut into windows of --calib-ctx=N tokens (512), of
which --calib-windows=N or FIRST:END are used (128).
"""
import os
import subprocess
import sys
import tempfile

from ._native import program
from .samples import parse_windows, write_tokens

OWN = {"--tokenizer": None, "--calib-ctx": "512", "--calib-windows": "128"}


def with_tokens(arguments, folder):
    """The arguments for qcc: its own, with an npz file in `folder` for every text."""
    own, rest, texts = dict(OWN), [], []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in own and equals:
            own[name] = value
        elif name == "--calib" and equals:
            texts.extend(value.split(","))
        else:
            rest.append(argument)
    model = next((argument for argument in rest if not argument.startswith("-")), None)
    for number, text in enumerate(texts):
        if not text.endswith(".npz"):
            output = os.path.join(folder, f"{number}.npz")
            write_tokens(text, output, model, tokenizer=own["--tokenizer"], ctx=int(own["--calib-ctx"]), windows=parse_windows(own["--calib-windows"]))
            text = output
        rest.append(f"--calib={text}")
    return rest


def main(arguments):
    path = program("qcc")
    if not any(argument.startswith("--calib=") for argument in arguments):
        os.execv(path, [path, *arguments])
    with tempfile.TemporaryDirectory() as folder:
        try:
            arguments = with_tokens(arguments, folder)
        except (OSError, ValueError, RuntimeError) as error:
            print(f"qcc: error: {error}", file=sys.stderr)
            return 2
        return subprocess.run([path, *arguments]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
