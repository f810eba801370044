"""Writes the function bodies of ONNX's operator schemas as a C++ table: {domain, type, since version, serialized FunctionProto}."""

import sys

import onnx


def main(out):
    rows = []
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.deprecated or not schema.has_function or schema.domain not in ("", "ai.onnx.ml"):
            continue
        body = schema.function_body.SerializeToString(deterministic=True)
        rows.append((schema.domain, schema.name, schema.since_version, body))
    rows.sort()
    with open(out, "w", encoding="ascii") as f:
        f.write("// {domain, type, since version, FunctionProto}; written by function_bodies.py from ONNX's schemas.\n")
        for domain, name, version, body in rows:
            escaped = "".join(f"\\{b:03o}" for b in body)
            f.write(f'{{"{domain}", "{name}", {version}, llvm::StringRef("{escaped}", {len(body)})}},\n')


if __name__ == "__main__":
    main(sys.argv[1])
