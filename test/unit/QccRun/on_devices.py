"""The Python package on the artifact around TinyProgram.c: processor, emulated device, tensors that stay there."""
import gc
import sys

import numpy as np
import qcc

artifact = sys.argv[1]
x = np.arange(1, 9, dtype=np.float32).reshape(1, 2, 4)
mode = np.int64(0)
expected = x * np.array([1, 2, 3, 4], np.float32)
for device in (None, "cpu", "emulate"):
    assert np.array_equal(qcc.load(artifact, device=device)(x=x, mode=mode)["y"], expected), device

try:
    qcc.load(artifact, device="abacus")
    raise SystemExit("an abacus was taken")
except qcc.RunError as error:
    assert "'abacus' is no device" in str(error)


class Foreign:
    """What another library would pass."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()

    def __dlpack__(self, **options):
        return self.tensor.__dlpack__(**options)


model = qcc.load(artifact, device="emulate")
session = model.session(outputs_on_device=True)
first = session.run({"x": x, "mode": mode}, ["y", "total"])
assert first["y"].shape == (1, 2, 4) and first["y"].dtype == np.float32 and first["y"].__dlpack_device__() == (2, 0)
copied = model.session()  # its outputs come back
for _ in range(3):
    y = copied.run({"x": first["y"], "mode": mode}, ["y"])["y"]
    assert np.array_equal(y, expected * np.array([1, 2, 3, 4], np.float32))
foreign = Foreign(first["y"])
assert np.array_equal(copied.run({"x": foreign, "mode": mode}, ["y"])["y"], y)
try:
    copied.run({"x": foreign, "mode": mode}, ["y"])
    raise SystemExit("a tensor was given away twice")
except BufferError:
    pass
unused = first["total"].__dlpack__()
del first, foreign, unused, session
gc.collect()
print("good")
