"""`python -m qcc ...` is the qcc command line."""
import os
import sys

from ._native import program

if __name__ == "__main__":
    path = program("qcc")
    os.execv(path, [path, *sys.argv[1:]])
