#include "Functions.h"

using namespace qcc;
using llvm::StringRef;

namespace {
struct SchemaFunction {
  const char *domain, *type;
  int64_t since;
  StringRef body;
};
const SchemaFunction table[] = {
#include "FunctionBodies.inc"
};
} // namespace

std::optional<::onnx::FunctionProto> qcc::schemaFunction(StringRef domain, StringRef type, int64_t version) {
  const SchemaFunction *best = nullptr;
  for (const SchemaFunction &row : table)
    if (domain == row.domain && type == row.type && row.since <= version && (!best || row.since > best->since))
      best = &row;
  ::onnx::FunctionProto result;
  if (!best || !result.ParseFromArray(best->body.data(), best->body.size()))
    return std::nullopt;
  return result;
}

static const ::onnx::AttributeProto *
findAttribute(const google::protobuf::RepeatedPtrField<::onnx::AttributeProto> &list, const std::string &name) {
  for (const auto &attribute : list)
    if (attribute.name() == name)
      return &attribute;
  return nullptr;
}

void qcc::bindAttributes(::onnx::NodeProto &node, const ::onnx::NodeProto &call,
                         const ::onnx::FunctionProto &function) {
  auto *attributes = node.mutable_attribute();
  for (int i = attributes->size() - 1; i >= 0; --i) {
    ::onnx::AttributeProto &attribute = *attributes->Mutable(i);
    if (attribute.has_g())
      for (::onnx::NodeProto &inner : *attribute.mutable_g()->mutable_node())
        bindAttributes(inner, call, function);
    if (attribute.ref_attr_name().empty())
      continue;
    const ::onnx::AttributeProto *value = findAttribute(call.attribute(), attribute.ref_attr_name());
    if (!value)
      value = findAttribute(function.attribute_proto(), attribute.ref_attr_name());
    if (!value) {
      attributes->DeleteSubrange(i, 1);
      continue;
    }
    std::string name = attribute.name();
    attribute = *value;
    attribute.set_name(name);
  }
}
