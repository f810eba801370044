"""Which cases of a large matrix the default run takes.

The rule: every row with `columns_each` columns, which rotate from row to row, so that each column has its share of the rows. All cases run with
QCC_TEST_FULL=1 in the environment, which `tools/dev/check --full` sets.
"""
import os

FULL = os.environ.get("QCC_TEST_FULL") == "1"


def thinned(rows, columns, columns_each=2):
    """Pairs of a row and a column."""
    rows, columns = list(rows), list(columns)
    step = len(columns) // columns_each
    chosen = lambda i: range(len(columns)) if FULL else sorted((i + k * step) % len(columns) for k in range(columns_each))
    return [(row, columns[j]) for i, row in enumerate(rows) for j in chosen(i)]
