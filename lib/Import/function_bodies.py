"""Writes the function bodies of ONNX's operator schemas as a C++ table: {domain, type, since version, serialized FunctionProto}."""

import sys

import onnx


def main(out):
    rows = []
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.deprecated or not schema.has_function or schema.domain not in ("", "ai.onnx.ml"):
            continue
        body = onnx.FunctionProto()
        body.CopyFrom(schema.function_body)
        # The body itself leaves out what an attribute is where a node does not say it.
        known = {attribute.name for attribute in body.attribute_proto}
        defaults = [attribute.default_value for _, attribute in sorted(schema.attributes.items())]
        body.attribute_proto.extend(value for value in defaults if value.type and value.name not in known)
        rows.append((schema.domain, schema.name, schema.since_version, body.SerializeToString(deterministic=True)))
    rows.sort()
    with open(out, "w", encoding="ascii") as f:
        f.write("// {domain, type, since version, FunctionProto}; written by function_bodies.py from ONNX's schemas.\n")
        for domain, name, version, body in rows:
            escaped = "".join(f"\\{b:03o}" for b in body)
            f.write(f'{{"{domain}", "{name}", {version}, llvm::StringRef("{escaped}", {len(body)})}},\n')


if __name__ == "__main__":
    main(sys.argv[1])
