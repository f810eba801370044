"""libqcc's C interface (include/qcc/Runtime/qcc.h) in ctypes, and where this package finds qcc's programs and library."""
import ctypes
import functools
import os
import shutil
import weakref
from ctypes import POINTER, Structure, c_char, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint16, c_uint64, c_void_p
from pathlib import Path

import ml_dtypes
import numpy as np

PACKAGE = Path(__file__).resolve().parent


def _search_path():
    """Folders that may hold bin/ and lib/: QCC_DIR, the installed package, the build folder of a source tree, where CMake installed all."""
    if "QCC_DIR" in os.environ:
        yield Path(os.environ["QCC_DIR"])
    yield PACKAGE
    yield PACKAGE.parents[1] / "build"
    yield (PACKAGE / "../../../..").resolve()  # share/qcc/python/qcc


def program(name):
    """The path of one of qcc's programs."""
    for folder in _search_path():
        path = folder / "bin" / name
        if path.exists():
            return str(path)
    found = shutil.which(name)
    if not found:
        raise FileNotFoundError(f"'{name}' is neither in build/bin nor in PATH; set QCC_DIR to the folder whose bin/ holds it")
    return found


class DLDevice(Structure):
    _fields_ = [("device_type", c_int32), ("device_id", c_int32)]


class DLDataType(Structure):
    _fields_ = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class DLTensor(Structure):
    _fields_ = [("data", c_void_p), ("device", DLDevice), ("ndim", c_int32), ("dtype", DLDataType), ("shape", POINTER(c_int64)),
                ("strides", POINTER(c_int64)), ("byte_offset", c_uint64)]


class DLManagedTensor(Structure):
    pass


DLManagedTensor._fields_ = [("dl_tensor", DLTensor), ("manager_ctx", c_void_p), ("deleter", ctypes.CFUNCTYPE(None, POINTER(DLManagedTensor)))]


class Error(Structure):
    _fields_ = [("struct_size", c_size_t), ("code", c_int32), ("message", c_char * 1024), ("node", c_char * 256)]


class ModelOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("target", c_char_p), ("device", c_char_p)]


class SessionOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("threads", c_int32), ("device", c_char_p), ("outputs_on_device", c_int32), ("graphs", c_int32)]


class Value(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("dtype", DLDataType), ("rank", c_int32), ("dims", POINTER(c_int64)),
                ("symbols", POINTER(c_char_p))]


class State(Structure):
    _fields_ = [("struct_size", c_size_t), ("value", Value), ("output", c_char_p), ("axis", c_int32)]


class Input(Structure):
    _fields_ = [("name", c_char_p), ("tensor", POINTER(DLTensor))]


class Output(Structure):
    _fields_ = [("name", c_char_p), ("tensor", POINTER(DLManagedTensor))]


@functools.cache
def library():
    for folder in _search_path():
        path = folder / "lib" / "libqcc.so"
        if path.exists():
            break
    else:
        path = "libqcc.so.1"
    lib = ctypes.CDLL(str(path))
    errors = POINTER(Error)
    signatures = {
        "qcc1_version": (c_int32, []),
        "qcc1_model_open": (c_int32, [c_char_p, POINTER(ModelOptions), POINTER(c_void_p), errors]),
        "qcc1_model_close": (None, [c_void_p]),
        "qcc1_model_manifest": (c_char_p, [c_void_p]),
        "qcc1_model_target": (c_char_p, [c_void_p]),
        "qcc1_model_input_count": (c_size_t, [c_void_p]),
        "qcc1_model_output_count": (c_size_t, [c_void_p]),
        "qcc1_model_state_count": (c_size_t, [c_void_p]),
        "qcc1_model_input": (c_int32, [c_void_p, c_size_t, POINTER(Value)]),
        "qcc1_model_output": (c_int32, [c_void_p, c_size_t, POINTER(Value)]),
        "qcc1_model_state": (c_int32, [c_void_p, c_size_t, POINTER(State)]),
        "qcc1_model_part": (c_void_p, [c_void_p, c_char_p, POINTER(c_size_t)]),
        "qcc1_model_verify": (c_int32, [c_void_p, errors]),
        "qcc1_session_open": (c_int32, [c_void_p, POINTER(SessionOptions), POINTER(c_void_p), errors]),
        "qcc1_session_close": (None, [c_void_p]),
        "qcc1_session_threads": (c_int32, [c_void_p]),
        "qcc1_session_length": (c_int64, [c_void_p, c_size_t]),
        "qcc1_session_reset": (None, [c_void_p]),
        "qcc1_session_truncate": (c_int32, [c_void_p, c_int64, errors]),
        "qcc1_session_run": (c_int32, [c_void_p, POINTER(Input), c_size_t, POINTER(Output), c_size_t, errors]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


# DLPack's codes beyond NumPy's own types. Elements of less than 8 bits take a byte each on both sides.
_ML_DTYPES = {"bfloat16": (4, 16), "float8_e4m3fn": (10, 8), "float8_e4m3fnuz": (11, 8), "float8_e5m2": (12, 8), "float8_e5m2fnuz": (13, 8),
              "float8_e8m0fnu": (14, 8), "float4_e2m1fn": (17, 4), "int4": (0, 4), "uint4": (1, 4), "int2": (0, 2), "uint2": (1, 2)}
_FROM_DLPACK = {pair: np.dtype(getattr(ml_dtypes, name)) for name, pair in _ML_DTYPES.items()}
_KINDS = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


def to_dlpack_dtype(dtype):
    if dtype.name in _ML_DTYPES:
        code, bits = _ML_DTYPES[dtype.name]
    elif dtype.kind in _KINDS:
        code, bits = _KINDS[dtype.kind], dtype.itemsize * 8
    else:
        raise TypeError(f"arrays of {dtype} cannot be passed to a compiled model")
    return DLDataType(code, bits, 1)


def to_numpy_dtype(dtype):
    pair = (dtype.code, dtype.bits)
    if pair in _FROM_DLPACK:
        return _FROM_DLPACK[pair]
    kinds = {code: kind for kind, code in _KINDS.items()}
    if dtype.code not in kinds:
        raise TypeError(f"no NumPy type for DLPack's type {pair}")
    return np.dtype(bool) if dtype.code == _KINDS["b"] else np.dtype(f"{kinds[dtype.code]}{dtype.bits // 8}")


def borrow(array):
    """A DLTensor over the array's own memory; the array must outlive it."""
    shape = (c_int64 * max(array.ndim, 1))(*array.shape)
    return DLTensor(array.ctypes.data, DLDevice(1, 0), array.ndim, to_dlpack_dtype(array.dtype), shape, None, 0)


def adopt(managed):
    """A NumPy array over the memory of an output (row-major without gaps), which is ended with the array."""
    tensor = managed.contents.dl_tensor
    dtype, shape = to_numpy_dtype(tensor.dtype), tuple(tensor.shape[:tensor.ndim])
    end = managed.contents.deleter
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        end(managed)
        return np.empty(shape, dtype)
    buffer = (c_char * (count * dtype.itemsize)).from_address(tensor.data + tensor.byte_offset)
    weakref.finalize(buffer, end, managed)
    return np.frombuffer(buffer, dtype).reshape(shape)


def new_error():
    return Error(struct_size=ctypes.sizeof(Error))
