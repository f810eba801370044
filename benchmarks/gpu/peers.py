"""The same products by cuBLASLt, through PyTorch, and by a kernel in Triton."""


def cublas(torch, kind, tokens, depth, columns):
    """A function that multiplies once; None where this PyTorch or device has no such product."""
    make = lambda rows: torch.randn(rows, depth, device="cuda")
    try:
        if kind == "bf16":
            x, w = make(tokens).bfloat16(), make(columns).bfloat16()
            body = lambda: torch.matmul(x, w.t())
        elif kind == "fp8":
            x, w = make(tokens).to(torch.float8_e4m3fn), make(columns).to(torch.float8_e4m3fn)
            one = torch.ones((), device="cuda")
            body = lambda: torch._scaled_mm(x, w.t(), one, one, out_dtype=torch.bfloat16)
        else:
            x, w = (torch.randint(-127, 128, (rows, depth), device="cuda", dtype=torch.int8) for rows in (tokens, columns))
            body = lambda: torch._int_mm(x, w.t())
        body()
        return body
    except (RuntimeError, AttributeError):
        return None


def triton(torch, kind, tokens, depth, columns):
    try:
        import triton as compiler
        import triton.language as tl
    except ImportError:
        return None
    types = {"bf16": (torch.bfloat16, torch.bfloat16, tl.float32), "fp8": (torch.float8_e4m3fn, torch.bfloat16, tl.float32), "int8": (torch.int8, torch.int32, tl.int32)}
    operand, result, sums = types[kind]
    bytes_each = 2 if kind == "bf16" else 1
    configurations = [compiler.Config({"M": m, "N": n, "K": 128 // bytes_each}, num_warps=warps, num_stages=stages)
                      for m, n, warps in ((128, 256, 8), (128, 128, 4), (64, 128, 4), (128, 64, 4)) for stages in (3, 4)]

    @compiler.autotune(configurations, key=["rows", "width", "depth"])
    @compiler.jit
    def product(x, w, y, rows, width, depth, SUMS: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
        # Tiles of one strip of rows follow each other, so that it stays in the cache.
        row = tl.program_id(0) % tl.cdiv(rows, M) * M + tl.arange(0, M)
        column = tl.program_id(0) // tl.cdiv(rows, M) * N + tl.arange(0, N)
        step = tl.arange(0, K)
        total = tl.zeros((M, N), SUMS)
        for at in range(0, depth, K):
            inside = at + step < depth
            left = tl.load(x + row[:, None] * depth + at + step[None, :], mask=(row < rows)[:, None] & inside[None, :], other=0)
            right = tl.load(w + column[None, :] * depth + at + step[:, None], mask=(column < width)[None, :] & inside[:, None], other=0)
            total = tl.dot(left, right, total, out_dtype=SUMS)
        tl.store(y + row[:, None] * width + column[None, :], total.to(y.dtype.element_ty), mask=(row < rows)[:, None] & (column < width)[None, :])

    if kind == "int8":
        x, w = (torch.randint(-127, 128, (rows, depth), device="cuda", dtype=operand) for rows in (tokens, columns))
    else:
        x, w = (torch.randn(rows, depth, device="cuda").to(operand) for rows in (tokens, columns))
    y = torch.empty(tokens, columns, device="cuda", dtype=result)
    grid = lambda meta: (compiler.cdiv(tokens, meta["M"]) * compiler.cdiv(columns, meta["N"]),)

    def body():
        product[grid](x, w, y, tokens, columns, depth, SUMS=sums)

    try:
        body()
        return body
    except Exception as error:  # whatever the compiler has against a type on this device
        print(f"Triton, {kind}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        return None
