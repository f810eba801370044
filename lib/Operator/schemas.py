"""Writes what ONNX's operator schemas demand of a node as C++ tables: numbers of inputs and outputs, element types, attributes."""

import sys

import onnx

TYPES = {f"tensor({name.lower()})": number for name, number in onnx.TensorProto.DataType.items()}
TYPES["tensor(float)"] = onnx.TensorProto.FLOAT
ANY = (1 << 64) - 1
OPTIONS = {"Single": 0, "Optional": 1, "Variadic": 2}


def mask(names):
    """A bit per TensorProto.DataType; all of them where a type that is no tensor is allowed too."""
    if not all(name in TYPES for name in names):
        return ANY
    return sum(1 << TYPES[name] for name in set(names))


def main(out):
    schemas = [s for s in onnx.defs.get_all_schemas_with_history() if not s.deprecated and s.domain in ("", "ai.onnx.ml")]
    schemas.sort(key=lambda s: (s.domain, s.name, s.since_version))
    inputs, attributes, rows = [], [], []
    for schema in schemas:
        constraints = {c.type_param_str: mask(c.allowed_type_strs) for c in schema.type_constraints}
        variables = sorted(constraints)
        first_input, first_attribute = len(inputs), len(attributes)
        for formal in schema.inputs:
            option = OPTIONS[formal.option.name]
            free = option == 2 and not formal.is_homogeneous
            variable = -1 if free or formal.type_str not in constraints else variables.index(formal.type_str)
            types = ANY if free else constraints.get(formal.type_str, mask([formal.type_str]))
            inputs.append(f"{{{option}, {variable}, 0x{types:x}ull}},")
        for name, attribute in sorted(schema.attributes.items()):
            attributes.append(f'{{"{name}", {attribute.type.value}, {str(attribute.required).lower()}}},')
        counts = [min(n, 1 << 30) for n in (schema.min_input, schema.max_input, schema.min_output, schema.max_output)]
        rows.append(f'{{"{schema.domain}", "{schema.name}", {schema.since_version}, {", ".join(map(str, counts))}, '
                    f"{first_input}, {len(inputs) - first_input}, {first_attribute}, {len(attributes) - first_attribute}}},")
    with open(out, "w", encoding="ascii") as f:
        f.write("// Written by schemas.py from ONNX's schemas.\n")
        for name, lines in (("SchemaInput inputTable", inputs), ("SchemaAttribute attributeTable", attributes), ("Schema schemaTable", rows)):
            f.write(f"static const {name}[] = {{\n" + "\n".join(lines) + "\n};\n")


if __name__ == "__main__":
    main(sys.argv[1])
