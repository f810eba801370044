"""Tensors in a device's memory, as DLPack passes them between libraries."""
import ctypes
import weakref
from ctypes import POINTER, c_char_p, c_int, c_void_p, cast, py_object

from . import _native

_KINDS = (2, 13)  # DLPack's devices of CUDA, and memory that they share with the processor
_CAPSULE = b"dltensor"
_python = ctypes.PyDLL(None)
_pointer_in = ctypes.PYFUNCTYPE(c_void_p, c_void_p, c_char_p)(("PyCapsule_GetPointer", _python))
_is_valid = ctypes.PYFUNCTYPE(c_int, c_void_p, c_char_p)(("PyCapsule_IsValid", _python))
_new_capsule = ctypes.PYFUNCTYPE(py_object, c_void_p, c_char_p, c_void_p)(("PyCapsule_New", _python))


def _tensor_in(capsule_address):
    return cast(_pointer_in(capsule_address, _CAPSULE), POINTER(_native.DLManagedTensor))


# A capsule that nobody took over, and so renamed, ends its tensor itself.
@ctypes.CFUNCTYPE(None, c_void_p)
def _end_capsule(address):
    if _is_valid(address, _CAPSULE):
        managed = _tensor_in(address)
        managed.contents.deleter(managed)


class DeviceTensor:
    """An output that stays on the device: for a library that takes DLPack (torch.from_dlpack), or as an input of another run."""

    def __init__(self, managed):
        tensor = managed.contents.dl_tensor
        self._managed = managed
        self.shape, self.dtype = tuple(tensor.shape[:tensor.ndim]), _native.to_numpy_dtype(tensor.dtype)
        self._place = (tensor.device.device_type, tensor.device.device_id)
        self._end = weakref.finalize(self, managed.contents.deleter, managed)

    def __dlpack_device__(self):
        return self._place

    def __dlpack__(self, **_):
        """Gives the tensor away, once. It is complete, whatever stream asks."""
        self.borrow()
        capsule = _new_capsule(cast(self._managed, c_void_p), _CAPSULE, cast(_end_capsule, c_void_p))
        self._end.detach()
        return capsule

    def borrow(self):
        if not self._end.alive:
            raise BufferError("the tensor has been given away")
        return self._managed.contents.dl_tensor


def is_on_device(array):
    return hasattr(array, "__dlpack_device__") and array.__dlpack_device__()[0] in _KINDS


def borrow(array):
    """The DLTensor of an array in a device's memory, and what must live as long as that is used."""
    if isinstance(array, DeviceTensor):
        return array.borrow(), array
    capsule = array.__dlpack__()
    return _tensor_in(id(capsule)).contents.dl_tensor, capsule
