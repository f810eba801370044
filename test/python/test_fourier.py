"""DFT and STFT against NumPy: lengths, axes, halves of spectra, windows."""
import numpy as np
import pytest
from onnx import TensorProto, helper

from small_models import parse, qcc, relative_error, run

RNG = np.random.default_rng(0)


def parts(values):
    return np.stack([values.real, values.imag], -1)


@pytest.mark.parametrize("length", [1, 2, 7, 16, 25])
@pytest.mark.parametrize("axis", [0, 1, -2])
def test_spectra_of_real_signals(length, axis, tmp_path):
    """The whole and the half; a length other than the signal's cuts it or adds zeros."""
    x = RNG.standard_normal((3, 16, 5, 1)).astype(np.float32)
    at = axis if axis >= 0 else axis + 4
    for half, expected in ((0, np.fft.fft(x[..., 0], length, at)), (1, np.fft.rfft(x[..., 0], length, at))):
        model = parse(f"g (float[3,16,5,1] x) => (float[a,b,c,2] y) {{ n = Constant<value = int64 {{{length}}}>() axis = Constant<value = int64 {{{axis}}}>() y = DFT<onesided = {half}>(x, n, axis) }}")
        assert relative_error(run(model, tmp_path, x=x)[0], parts(expected)) < 2e-6


@pytest.mark.parametrize("batch", ["4", "b"])
def test_complex_signals_and_the_way_back(batch, tmp_path):
    x = RNG.standard_normal((4, 12, 2)).astype(np.float32)
    model = parse(f"g (float[{batch},12,2] x) => (float[a,c,2] y) {{ y = DFT(x) }}")
    assert relative_error(run(model, tmp_path, x=x)[0], parts(np.fft.fft(x[..., 0] + 1j * x[..., 1]))) < 2e-6
    signal = RNG.standard_normal((4, 22)).astype(np.float32)
    half = parts(np.fft.rfft(signal)).astype(np.float32)
    for length in (22, 21):
        model = parse(f"g (float[{batch},12,2] x) => (float[a,c,1] y) {{ n = Constant<value = int64 {{{length}}}>() y = DFT<onesided = 1, inverse = 1>(x, n) }}")
        assert relative_error(run(model, tmp_path, x=half)[0], np.fft.irfft(half[..., 0] + 1j * half[..., 1], length)[..., None]) < 2e-6


def frames_of(x, length, step, window):
    count = 1 + (x.shape[1] - length) // step
    return np.stack([x[:, i * step:i * step + length] * window for i in range(count)], 1)


@pytest.mark.parametrize("window", ["none", "constant", "input"])
@pytest.mark.parametrize("kind", ["float[b,n,1]", "float[b,n]", "float[b,n,2]"])
def test_frames(window, kind, tmp_path):
    length, step = 20, 7
    is_complex = kind.endswith("2]")
    x = RNG.standard_normal((3, 90, 2 if is_complex else 1)).astype(np.float32)
    taps = np.hanning(length).astype(np.float32) if window != "none" else np.ones(length, np.float32)
    frames = frames_of(x[..., 0] + 1j * x[..., 1] if is_complex else x[..., 0], length, step, taps)
    expected = np.fft.fft(frames) if is_complex else np.fft.rfft(frames)
    inputs = f"{kind} x" + (", float[20] w" if window == "input" else "")
    model = parse(f"""g ({inputs}) => (float[b,f,k,2] y) {{ step = Constant<value = int64 {{{step}}}>() length = Constant<value = int64 {{{length}}}>()
        y = STFT<onesided = {int(not is_complex)}>(x, step, {'w' if window != 'none' else ''}, length) }}""")
    if window == "constant":
        model.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [length], taps))
    feed = {"x": x[..., 0] if kind.endswith("n]") else x, **({"w": taps} if window == "input" else {})}
    assert relative_error(run(model, tmp_path, **feed)[0], parts(expected)) < 2e-6


@pytest.mark.parametrize("text, message", [
    ("g (float[1,n,1] x) => (float[a,b,2] y) { y = DFT(x) }", "length is known only when the model runs"),
    ("g (float[1,8,2] x) => (float[a,b,2] y) { y = DFT<inverse = 1>(x) }", "inverse transform of a whole spectrum"),
    ("g (float[1,8,2] x) => (float[a,b,2] y) { y = DFT<onesided = 1>(x) }", "half of a spectrum"),
    ("g (float[1,8,3] x) => (float[a,b,2] y) { y = DFT(x) }", "one or two parts"),
    ("g (float[1,99999,1] x) => (float[a,b,2] y) { y = DFT(x) }", "transform of 99999 positions"),
    ("g (float[1,8,1] x, int64 step) => (float[a,b,c,2] y) { n = Constant<value = int64 {4}>() y = STFT(x, step, , n) }", "frame_step"),
    ("g (float[1,n,1] x) => (float[a,b,c,2] y) { step = Constant<value = int64 {4}>() y = STFT(x, step) }", "frames whose length"),
])
def test_what_cannot_be_compiled_says_why(text, message, tmp_path):
    done = qcc(parse(text), tmp_path, "-o", tmp_path / "model.qcc")
    assert done.returncode == 2 and message in done.stderr, done.stderr
