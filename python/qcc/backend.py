"""qcc as an `onnx.backend`: each model is compiled for this machine in float32 and run through the runtime."""
import tempfile
from pathlib import Path

import onnx
from onnx.backend.base import Backend, BackendRep
from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

import qcc


class CompiledModel(BackendRep):
    def __init__(self, proto, model):
        initialized = {tensor.name for tensor in proto.graph.initializer}
        self._inputs = [value.name for value in proto.graph.input if value.name not in initialized]
        self._outputs = [value.name for value in proto.graph.output]
        self._model = model

    def run(self, inputs, **kwargs):
        named = inputs if isinstance(inputs, dict) else dict(zip(self._inputs, inputs))
        results = self._model(named)
        return tuple(results[name] for name in self._outputs)


class QccBackend(Backend):
    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "model.onnx"
            onnx.save(model, source)
            try:
                artifact = qcc.compile(source, target=kwargs.get("target"), fmt=kwargs.get("fmt", "float32"))
            except qcc.CompileError as error:
                if error.status == 2:
                    raise BackendIsNotSupposedToImplementIt(str(error)) from error
                raise
            return CompiledModel(model, qcc.load(artifact))

    @classmethod
    def run_model(cls, model, inputs, device="CPU", **kwargs):
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, **kwargs):
        if outputs_info is None:
            raise BackendIsNotSupposedToImplementIt("a node alone does not say the types of its outputs")
        value = onnx.helper.make_tensor_value_info
        typed = [(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape) for name, array in zip(node.input, inputs)]
        outputs = [(name, onnx.helper.np_dtype_to_tensor_dtype(dtype), shape) for name, (dtype, shape) in zip(node.output, outputs_info)]
        graph = onnx.helper.make_graph([node], node.op_type, [value(*each) for each in typed], [value(*each) for each in outputs])
        return cls.run_model(onnx.helper.make_model(graph), inputs, device, **kwargs)

    @classmethod
    def supports_device(cls, device):
        return device.split(":")[0] == "CPU"


is_compatible = QccBackend.is_compatible
prepare = QccBackend.prepare
run_model = QccBackend.run_model
run_node = QccBackend.run_node
supports_device = QccBackend.supports_device
