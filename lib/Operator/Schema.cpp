#include "Schema.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace qcc;

namespace {
struct SchemaInput {
  enum Option : uint8_t { Single, Optional, Variadic };
  uint8_t option;
  int8_t variable; // inputs of the same one have the same element type; -1: none
  uint64_t types;  // a bit per TensorProto.DataType
};
struct SchemaAttribute {
  const char *name;
  int kind; // AttributeProto.AttributeType
  bool isRequired;
};
struct Schema {
  const char *domain, *type;
  int64_t since;
  int64_t minInputs, maxInputs, minOutputs, maxOutputs;
  size_t firstInput, inputCount, firstAttribute, attributeCount;
};
#include "Schemas.inc"
} // namespace

static const Schema *findSchema(StringRef domain, StringRef type, int64_t version) {
  // Rows are sorted by domain, type and version.
  const auto *row = llvm::partition_point(schemaTable, [&](const Schema &row) {
    return std::tuple(StringRef(row.domain), StringRef(row.type), row.since) <= std::tuple(domain, type, version);
  });
  if (row == std::begin(schemaTable))
    return nullptr;
  --row;
  return domain == row->domain && type == row->type ? row : nullptr;
}

/// Whether an attribute of the IR is of one of the kinds that AttributeProto.AttributeType numbers.
static bool isOfKind(Attribute attribute, int kind) {
  switch (kind) {
  case 1:
    return isa<FloatAttr>(attribute);
  case 2:
    return isa<IntegerAttr>(attribute);
  case 3:
    return isa<StringAttr>(attribute);
  case 4:
    return isa<DictionaryAttr>(attribute);
  case 6:
    return isa<DenseF32ArrayAttr>(attribute);
  case 7:
    return isa<DenseI64ArrayAttr>(attribute);
  case 8:
    return isa<ArrayAttr>(attribute);
  default:
    return true;
  }
}

static StringRef kindName(int kind) {
  static const char *const names[] = {
      "",        "a float",          "an integer",         "a string",         "a tensor",
      "a graph", "a list of floats", "a list of integers", "a list of strings"};
  return kind >= 0 && kind < int(std::size(names)) ? names[kind] : "something else";
}

static LogicalResult checkCount(const Node &node, StringRef what, int64_t count, int64_t least, int64_t most) {
  if (count >= least && count <= most)
    return success();
  std::string allowed = least == most       ? llvm::utostr(least)
                        : most >= (1 << 30) ? "at least " + llvm::utostr(least)
                                            : llvm::utostr(least) + " to " + llvm::utostr(most);
  return node.error("has " + Twine(count) + " " + what + ", but the operator has " + allowed);
}

static LogicalResult checkAttributes(const Node &node, ArrayRef<SchemaAttribute> attributes) {
  auto subgraphs = node.op.getAttrs().getAs<ArrayAttr>("subgraphs");
  for (const SchemaAttribute &attribute : attributes) {
    if (attribute.kind == 5) {
      bool isThere = subgraphs && llvm::any_of(subgraphs, [&](Attribute name) {
                       return cast<StringAttr>(name).getValue() == attribute.name;
                     });
      if (attribute.isRequired && !isThere)
        return node.error("lacks the subgraph '" + Twine(attribute.name) + "'");
      continue;
    }
    Attribute value = node.op.getAttrs().get(attribute.name);
    if (!value && attribute.isRequired)
      return node.error("lacks the attribute '" + Twine(attribute.name) + "'");
    if (value && !isOfKind(value, attribute.kind))
      return node.error("has an attribute '" + Twine(attribute.name) + "' that is not " + kindName(attribute.kind));
  }
  return success();
}

static LogicalResult checkInputs(const Node &node, ArrayRef<SchemaInput> inputs) {
  llvm::SmallDenseMap<int8_t, std::pair<Type, unsigned>> variables;
  // A node whose shapes were inferred has lost operands that said no more than is known now.
  bool isInferred = node.op.getResolved().has_value();
  for (unsigned i = 0; i < node.inputs(); ++i) {
    const SchemaInput &input = inputs[std::min<size_t>(i, inputs.size() - 1)];
    if (!node.has(i)) {
      if (input.option == SchemaInput::Single && !isInferred)
        return node.error("lacks its input " + Twine(i));
      continue;
    }
    Type element = node.element(i);
    std::optional<int64_t> number = onnx::dataTypeOf(element);
    std::string name;
    llvm::raw_string_ostream(name) << element;
    if (!number || !(input.types >> *number & 1))
      return node.error("has an input " + Twine(i) + " of " + name + ", which the operator does not take there");
    auto [known, isFirst] = variables.try_emplace(input.variable, std::pair(element, i));
    if (input.variable >= 0 && !isFirst && known->second.first != element) {
      std::string other;
      llvm::raw_string_ostream(other) << known->second.first;
      return node.error("has an input " + Twine(known->second.second) + " of " + other + " and an input " + Twine(i) +
                        " of " + name + ", which must be the same");
    }
  }
  return success();
}

LogicalResult qcc::checkSchema(const Node &node) {
  const Schema *schema = findSchema(node.op.getDomain(), node.type(), node.version());
  if (!schema)
    return success();
  int64_t inputs = node.inputs(), outputs = node.outputs();
  if (failed(checkCount(node, "inputs", inputs, schema->minInputs, schema->maxInputs)) ||
      failed(checkCount(node, "outputs", outputs, schema->minOutputs, schema->maxOutputs)) ||
      failed(checkAttributes(node, ArrayRef(attributeTable + schema->firstAttribute, schema->attributeCount))))
    return failure();
  return inputs ? checkInputs(node, ArrayRef(inputTable + schema->firstInput, schema->inputCount)) : success();
}
