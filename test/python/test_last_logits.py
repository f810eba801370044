"""--last-logits: the logits of the last position alone, for programs that write text."""
import numpy as np
import pytest

import qcc
from test_plan import MODEL


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logits")
    return [qcc.compile(MODEL, folder / f"{i}.qcc", options=options) for i, options in enumerate(([], ["--last-logits"]))]


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_they_are_the_last_of_all(artifacts, tokens):
    inputs = {"input_ids": np.arange(3, 3 + 2 * tokens).reshape(2, tokens), "attention_mask": np.ones((2, tokens), np.int64),
              "position_ids": np.tile(np.arange(tokens), (2, 1))}
    results = [qcc.load(artifact)(inputs)["logits"] for artifact in artifacts]
    assert results[1].shape == (2, 1, 512)
    np.testing.assert_allclose(results[1], results[0][:, -1:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("output, message", [("xx", "the model has no output 'xx'"), ("present.0.key", "output 'present.0.key' is not made by a matrix product")])
def test_other_outputs_are_refused(tmp_path, output, message):
    with pytest.raises(qcc.CompileError, match=message):
        qcc.compile(MODEL, tmp_path / "x.qcc", options=[f"--last-logits={output}"])
