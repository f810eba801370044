"""What the benchmarks on GPUs share: whether there is one, its peers, and linear operations of given shapes."""
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
import qcc  # noqa: E402

NOT_RUN = "not run here"


def arguments(parser):
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or emulate, whose times say nothing")
    parser.add_argument("--target", help="the architecture, sm_90a for example; asked for from nvidia-smi if left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=20, help="in a round")


def name_and_target(options):
    """The device's name and the target for it; ends the program, and says why, where there is none."""
    if options.device == "emulate":
        return "emulated device", options.target or "sm_80"
    try:
        asked = subprocess.run(["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader", f"--id={options.device.partition(':')[2] or 0}"],
                               check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{NOT_RUN}: there is no CUDA device ({error})")
        sys.exit(0)
    name, capability = asked.rsplit(", ", 1)
    major, minor = capability.split(".")
    specific = "a" if int(major) >= 9 else ""
    return name, options.target or f"sm_{major}{minor}{specific}"


def torch_on(options):
    """PyTorch where it is installed and finds the device, else None."""
    if options.device == "emulate":
        return None
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def write_linears(path, depth, columns, layers):
    """`layers` products of one input with weights of their own, which stand in a file beside the model."""
    random = np.random.default_rng(depth + columns)
    weights = random.standard_normal((depth, columns), dtype=np.float32) / np.sqrt(np.float32(depth))
    data = path.with_suffix(".data")
    with open(data, "wb") as stream:
        tensors, nodes = [], []
        for layer in range(layers):
            tensor = TensorProto(name=f"w{layer}", data_type=TensorProto.FLOAT, dims=weights.shape, data_location=TensorProto.EXTERNAL)
            for key, value in (("location", data.name), ("offset", stream.tell()), ("length", weights.nbytes)):
                tensor.external_data.add(key=key, value=str(value))
            stream.write(np.roll(weights, layer, axis=0).tobytes())  # equal weights would be stored, and read, once
            tensors.append(tensor)
            nodes.append(helper.make_node("MatMul", ["x", f"w{layer}"], [f"y{layer}"], name=f"linear{layer}"))
    value = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["tokens", width])
    graph = helper.make_graph(nodes, "linears", [value("x", depth)], [value(f"y{layer}", columns) for layer in range(layers)], tensors)
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


class Linears:
    """A compiled program of `layers` linear operations of one shape."""
    def __init__(self, folder, shape, layers, fmt, act, target, device):
        depth, columns = shape
        model = folder / f"{depth}x{columns}x{layers}.onnx"
        if not model.exists():
            write_linears(model, depth, columns, layers)
        artifact = qcc.compile(model, folder / f"{depth}x{columns}x{layers}-{fmt}-{act}.qcc", target=target, fmt=fmt, head_fmt=fmt, act=act)
        self.layers = layers
        loaded = qcc.load(artifact, device=device)
        plan = loaded.manifest["plan"]
        self.act, self.bytes = plan["linears"][0]["act"], plan["linears"][0]["bytes"]
        self.instruction = next(iter(plan["linears"][0]["instructions"].values()))
        self.session = loaded.session(outputs_on_device=True)
        artifact.unlink()

    def seconds(self, x, runs):
        """Of one run, outputs left on the device."""
        begun = time.perf_counter()
        for _ in range(runs):
            self.session.run({"x": x})
        return (time.perf_counter() - begun) / runs


def seconds_of_linear(few, many, x, options):
    """Of one operation in each round: what a program of many takes longer than one of few, so that launching and copying the input cancel."""
    for program in (few, many):
        program.seconds(x, 1)
    return [(many.seconds(x, options.runs) - few.seconds(x, options.runs)) / (many.layers - few.layers) for _ in range(options.rounds)]


def seconds_on_stream(torch, body, options):
    """Of one call in each round, measured by the device's own events."""
    body()
    rounds = []
    for _ in range(options.rounds):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(options.runs):
            body()
        end.record()
        end.synchronize()
        rounds.append(begin.elapsed_time(end) / 1e3 / options.runs)
    return rounds


def rate(amount, seconds, unit):
    """Median of the rounds, with the smallest and the largest."""
    values = [amount / max(second, 1e-9) / unit for second in seconds]
    return f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"
