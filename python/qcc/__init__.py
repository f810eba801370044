"""qcc from Python: compile ONNX models, load and run the artifacts.

    import qcc
    qcc.compile("model.onnx", "model.qcc", fmt="int8")
    outputs = qcc.load("model.qcc")(input=array)          # {name: NumPy array}
"""
import json
import subprocess
from ctypes import byref, c_size_t, c_void_p, pointer, sizeof, string_at
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import _native, device as _device

__all__ = ["CompileError", "RunError", "Model", "Session", "Value", "State", "compile", "load"]


class CompileError(RuntimeError):
    """qcc refused. `status` is its exit status (2: bad usage or an unsupported model), the message what it printed."""

    def __init__(self, status, message):
        super().__init__(message or f"qcc ended with status {status}")
        self.status = status


class RunError(RuntimeError):
    """The runtime refused. `code` is a qcc1_status, `node` the ONNX node that failed or an empty string."""

    def __init__(self, error):
        node = error.node.decode(errors="replace")
        super().__init__(error.message.decode(errors="replace") + (f" (node '{node}')" if node else ""))
        self.code, self.node = error.code, node


def compile(model, output=None, *, target=None, fmt=None, act=None, head_fmt=None, recipe=None, method=None, budget=None, calib=None,
            options=()):
    """Compiles an ONNX file (or a folder as Hugging Face lays it out) and returns the artifact's path.

    target, fmt, act, head_fmt, recipe, method, budget and calib are qcc's options of the same names, `options` are further command-line arguments.
    """
    output = Path(output) if output is not None else Path(model).with_suffix(".qcc")
    command = [_native.program("qcc"), str(model), "-o", str(output)]
    for name, value in (("target", target), ("fmt", fmt), ("act", act), ("head-fmt", head_fmt),
                        ("recipe", recipe), ("method", method), ("budget", budget), ("calib", calib)):
        if value is not None:
            command.append(f"--{name}={value if isinstance(value, (str, Path)) else ','.join(map(str, value))}")
    done = subprocess.run([*command, *map(str, options)], capture_output=True, text=True)
    if done.returncode:
        raise CompileError(done.returncode, done.stderr.strip())
    return output


@dataclass(frozen=True)
class Value:
    """An input or output: `dims` holds a number per known size and a string (the dimension's name) per size known at run time."""
    name: str
    dtype: np.dtype
    dims: tuple


@dataclass(frozen=True)
class State:
    """A pair of input and output that a session keeps (a key/value cache); it grows along `axis`."""
    value: Value
    output: str
    axis: int


def _value(raw):
    dims = tuple(raw.dims[i] if raw.dims[i] >= 0 else raw.symbols[i].decode() for i in range(raw.rank))
    return Value(raw.name.decode(), _native.to_numpy_dtype(raw.dtype), dims)


class Model:
    """An opened artifact."""

    def __init__(self, path, target=None, threads=0, device=None):
        self._library = _native.library()
        self._handle, self._threads, self._session = c_void_p(), threads, None
        options = _native.ModelOptions(sizeof(_native.ModelOptions), target.encode() if target else None,
                                       device.encode() if device else None)
        error = _native.new_error()
        if self._library.qcc1_model_open(str(path).encode(), byref(options), byref(self._handle), byref(error)):
            raise RunError(error)
        self.inputs = self._values("input")
        self.outputs = self._values("output")
        self.states = []
        for index in range(self._library.qcc1_model_state_count(self._handle)):
            raw = _native.State(sizeof(_native.State))
            raw.value.struct_size = sizeof(_native.Value)
            self._library.qcc1_model_state(self._handle, index, byref(raw))
            self.states.append(State(_value(raw.value), raw.output.decode(), raw.axis))

    def _values(self, kind):
        values = []
        for index in range(getattr(self._library, f"qcc1_model_{kind}_count")(self._handle)):
            raw = _native.Value(sizeof(_native.Value))
            getattr(self._library, f"qcc1_model_{kind}")(self._handle, index, byref(raw))
            values.append(_value(raw))
        return values

    def __del__(self):
        if getattr(self, "_handle", None):
            self._library.qcc1_model_close(self._handle)

    @property
    def manifest(self):
        return json.loads(self._library.qcc1_model_manifest(self._handle))

    @property
    def target(self):
        return self._library.qcc1_model_target(self._handle).decode()

    def part(self, name):
        """The bytes of a part of the artifact ('tokenizer.bin'), or None."""
        size = c_size_t()
        data = self._library.qcc1_model_part(self._handle, name.encode(), byref(size))
        return string_at(data, size.value) if data else None

    def session(self, threads=None, device=None, outputs_on_device=False, graphs=False):
        """A session; where the model runs if `device` names no other place. `outputs_on_device` leaves outputs there, as DeviceTensors;
        `graphs` records what a run starts on a device and replays it."""
        return Session(self, self._threads if threads is None else threads, device, outputs_on_device, graphs)

    def __call__(self, inputs=None, /, **named):
        """Runs the model once, without memory of earlier calls: {output name: array}.

        Inputs come by name, in a dictionary where a name is no Python word. Where the model has states, passing them runs its
        original signature and returns their new contents too; leaving them out starts from empty ones.
        """
        if self._session is None:
            self._session = self.session()
        inputs = {**(inputs or {}), **named}
        self._session.reset()
        outputs = [value.name for value in self.outputs]
        outputs += [state.output for state in self.states if state.value.name in inputs]
        return self._session.run(inputs, outputs)


class Session:
    """Threads, memory and states of one caller. Not for two threads at a time."""

    def __init__(self, model, threads=0, device=None, outputs_on_device=False, graphs=False):
        self.model, self._library, self._handle = model, model._library, c_void_p()
        options = _native.SessionOptions(sizeof(_native.SessionOptions), threads, device.encode() if device else None,
                                         outputs_on_device, graphs)
        error = _native.new_error()
        if self._library.qcc1_session_open(model._handle, byref(options), byref(self._handle), byref(error)):
            raise RunError(error)

    def __del__(self):
        if getattr(self, "_handle", None):
            self._library.qcc1_session_close(self._handle)

    @property
    def threads(self):
        return self._library.qcc1_session_threads(self._handle)

    def length(self, state=0):
        """The positions that a state holds."""
        return self._library.qcc1_session_length(self._handle, state)

    def reset(self):
        self._library.qcc1_session_reset(self._handle)

    def truncate(self, length):
        error = _native.new_error()
        if self._library.qcc1_session_truncate(self._handle, length, byref(error)):
            raise RunError(error)

    def run(self, inputs, outputs=None):
        """Runs once and appends to the states: {output name: array}. `outputs` names what is wanted; None means all but the states."""
        names = [value.name for value in self.model.outputs] if outputs is None else list(outputs)
        owners, tensors = [], []  # the arrays, and views of them
        for array in inputs.values():
            tensor, owner = _device.borrow(array) if _device.is_on_device(array) else _borrow(array)
            tensors.append(tensor)
            owners.append(owner)
        given = (_native.Input * max(len(tensors), 1))(*(
            _native.Input(name.encode(), pointer(tensor)) for name, tensor in zip(inputs, tensors)))
        wanted = (_native.Output * max(len(names), 1))(*(_native.Output(name.encode()) for name in names))
        error = _native.new_error()
        if self._library.qcc1_session_run(self._handle, given, len(tensors), wanted, len(names), byref(error)):
            raise RunError(error)
        # Adopt all before anything can fail: each holds memory of the runtime.
        return {name: _adopt(output.tensor) for name, output in zip(names, wanted)}


def _borrow(array):
    if not isinstance(array, (np.ndarray, np.generic, int, float, bool, list, tuple)):
        array = np.from_dlpack(array)
    array = np.asarray(array)
    # A scalar has no gaps, and ascontiguousarray would give it a dimension.
    array = array if array.ndim == 0 else np.ascontiguousarray(array)
    return _native.borrow(array), array


def _adopt(managed):
    # In the processor's memory or in a device's.
    return _native.adopt(managed) if managed.contents.dl_tensor.device.device_type == 1 else _device.DeviceTensor(managed)


def load(path, target=None, threads=0, device=None):
    """Opens an artifact. `target` names the code to take (else the best for this machine); threads=0 takes all.

    device: 'cpu', 'cuda', 'cuda:N' or 'emulate'; None takes the processor where the artifact has code for it, else 'cuda'.
    """
    return Model(path, target, threads, device)
