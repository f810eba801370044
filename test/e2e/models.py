"""The real models the compiler is tested on: file, goldens (inputs and ONNX Runtime's outputs) and the relative error allowed."""
from dataclasses import dataclass

TARGETS = ("native", "x86-64-v2")


@dataclass(frozen=True)
class RealModel:
    name: str
    file: str
    goldens: tuple
    tolerance: float = 1e-5


def _model(name, *goldens, file=None, **rest):
    return RealModel(name, f"models/{file or name}.onnx", tuple(f"golden/{golden}.npz" for golden in goldens or (name,)), **rest)


def _export(name, *cases, **rest):
    return RealModel(name, f"exports/{name}/model.onnx", tuple(f"exports/{name}/{case}.npz" for case in cases or ("golden",)), **rest)


_DECODER = ("b1_s9_p0", "b1_s5_p12", "b2_s1_p7")

# Already quantized: its outputs depend on which way the roundings within fall, so test_models.py compares it with float64.
QUANTIZED = _model("mobilenetv2_qdq", file="mobilenetv2_imagenet_qdq_int8", tolerance=1e-2)

MODELS = (
    _model("mnist", "mnist_cntk"),
    _model("resnet20_cifar10"),
    _model("mobilenetv2_float", file="mobilenetv2_imagenet_fp32_from_qdq"),
    _model("FastestDet"),
    _model("ultraface-RFB-320"),
    _model("silero_vad_op18_ifless"),
    _model("dtln_1", file="dtln_model_1"),
    _model("dtln_2", file="dtln_model_2"),
    _model("magika", file="magika_standard_v3_3"),
    _model("stories260K", "stories260K_past0", "stories260K_past16"),
    _model("tiny-random-gpt2", "tiny-random-gpt2_past0", "tiny-random-gpt2_past7", file="tiny-random-gpt2/past"),
    _model("ort-gpt2_past"),
    _export("optimum-llama", *_DECODER),
    _export("optimum-opt", *_DECODER),
    _export("optimum-vit"),
    _export("genai-llama-int4", *_DECODER, tolerance=1e-4),
    _export("genai-qwen3-fp32", *_DECODER),
    _export("dynamo-lstm"),
    _export("dynamo-unet"),
    _export("dynamo-bert"),
    _export("ts-squeezenet1_1"),
)
