"""Writes goldens.npz beside this file: what ml_dtypes and gguf make of the same numbers. Run by hand:

    .venv/bin/python test/unit/Format/goldens/make.py
"""
from pathlib import Path

import gguf
import ml_dtypes
import numpy as np

# Name: type, bits.
TYPES = {
    "float16": (np.float16, 16),
    "bfloat16": (ml_dtypes.bfloat16, 16),
    "e4m3": (ml_dtypes.float8_e4m3fn, 8),
    "e5m2": (ml_dtypes.float8_e5m2, 8),
    "e2m1": (ml_dtypes.float4_e2m1fn, 4),
    "e2m3": (ml_dtypes.float6_e2m3fn, 6),
    "e3m2": (ml_dtypes.float6_e3m2fn, 6),
    "int4": (ml_dtypes.int4, 4),
    "int2": (ml_dtypes.int2, 2),
}


def main():
    random = np.random.default_rng(20260101)
    out = {}
    for name, (dtype, bits) in TYPES.items():
        storage = np.uint16 if bits == 16 else np.uint8
        # 16-bit types: every 8th code is enough.
        codes = np.arange(0, 1 << bits, 8 if bits == 16 else 1, dtype=storage)
        values = codes.view(dtype).astype(np.float32)
        out[f"{name}:codes"], out[f"{name}:values"] = codes, values
        if name.startswith("int"):
            continue
        # Numbers to round: all magnitudes from below the smallest step to just within range, halfway points and their neighbours.
        finite = np.unique(np.abs(values[np.isfinite(values)]))
        middles = (finite[:-1].astype(np.float64) + finite[1:]) / 2
        middles = random.choice(middles, min(len(middles), 200), replace=False).astype(np.float32)
        spread = np.exp2(random.uniform(np.log2(finite[1]) - 3, np.log2(finite[-1]), 300)).astype(np.float32)
        numbers = np.concatenate([middles, np.nextafter(middles, np.float32(0)), np.nextafter(middles, np.float32(np.inf)), spread])
        numbers = (numbers * random.choice([-1, 1], len(numbers))).astype(np.float32)
        out[f"{name}:numbers"] = numbers
        out[f"{name}:rounded"] = numbers.astype(dtype).view(storage)
    codes = np.arange(255, dtype=np.uint8)
    out["e8m0:codes"], out["e8m0:values"] = codes, codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)

    matrix = (random.standard_t(5, (24, 64)) * 0.02).astype(np.float32)
    matrix[3, :32] = 0
    out["gguf:matrix"] = matrix
    for name, kind in (("q8_0", gguf.GGMLQuantizationType.Q8_0), ("mxfp4", gguf.GGMLQuantizationType.MXFP4)):
        stored = gguf.quants.quantize(matrix, kind)
        out[f"gguf:{name}"], out[f"gguf:{name}:values"] = stored, gguf.quants.dequantize(stored, kind)
    np.savez_compressed(Path(__file__).with_name("goldens.npz"), **out)


if __name__ == "__main__":
    main()
