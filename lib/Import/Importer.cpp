#include "Functions.h"
#include "Tensors.h"
#include "dialects/onnx/Onnx.h"
#include "qcc/Canonicalize/Dimensions.h"
#include "qcc/Import/Import.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSet.h"
#include <google/protobuf/io/coded_stream.h>

using namespace mlir;
using namespace qcc;
using ::onnx::AttributeProto;
using ::onnx::FunctionProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::ValueInfoProto;

static constexpr int maxNesting =
    48; // subgraphs and function calls; every level is a level of recursion here and in every later pass

/// Nodes in all, those in bodies of functions counted at each call: a few functions that call one another twice make
/// more than fit into memory.
static constexpr int64_t maxNodes = 1 << 20;

namespace {
/// Names of one graph and the graphs around it.
struct Scope {
  const Scope *outer = nullptr;
  llvm::StringMap<Value> values;
  Value find(StringRef name) const {
    for (const Scope *scope = this; scope; scope = scope->outer)
      if (auto it = scope->values.find(name); it != scope->values.end())
        return it->second;
    return {};
  }
};

class Importer {
public:
  Importer(ModelFile &file, MLIRContext &context, const ImportOptions &options)
      : file(file), options(options), b(&context), dims(&context),
        fileLoc(FileLineColLoc::get(&context, file.path(), 0, 0)) {}

  OwningOpRef<ModuleOp> run(const ::onnx::ModelProto &model);

private:
  Location nodeLoc(const NodeProto &node, StringRef prefix);
  Type valueType(const ::onnx::TypeProto &type, StringRef name, Location loc);
  LogicalResult readVersions(const google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto> &imports,
                             Location loc, llvm::StringMap<int64_t> &versions);
  LogicalResult initializers(const GraphProto &graph, Scope &scope);
  LogicalResult nodes(ArrayRef<const NodeProto *> list, Scope &scope, StringRef prefix, int depth);
  LogicalResult node(const NodeProto &node, Scope &scope, StringRef prefix, int depth);
  LogicalResult define(StringRef name, Value value, Scope &scope, Location loc);
  LogicalResult call(const NodeProto &node, FunctionProto function, Scope &scope, StringRef prefix, Location loc,
                     int depth);
  LogicalResult subgraph(const GraphProto &graph, Region &region, const Scope &outer, StringRef prefix, Location loc,
                         int depth);
  FailureOr<Attribute> attribute(const AttributeProto &attribute, Location loc);
  Type unknownType() { return UnrankedTensorType::get(qcc::onnx::UnknownType::get(b.getContext())); }
  Value absent() { return qcc::onnx::AbsentOp::create(b, fileLoc, b.getNoneType()); }

  ModelFile &file;
  const ImportOptions &options;
  OpBuilder b;
  Dimensions dims;
  Location fileLoc;
  llvm::StringMap<int64_t> versions;
  const ::onnx::ModelProto *model = nullptr;
  int64_t nodeCount = 0;
};
} // namespace

static StringRef normalDomain(StringRef domain) { return domain == "ai.onnx" ? "" : domain; }

Location Importer::nodeLoc(const NodeProto &node, StringRef prefix) {
  std::string name =
      (prefix + (node.name().empty() ? (node.output_size() ? node.output(0) : node.op_type()) : node.name())).str();
  return NameLoc::get(b.getStringAttr(name), fileLoc);
}

/// Whether the text of a dimension names nothing: "", "?", "-1".
static bool isUnknown(StringRef text) {
  text = text.trim();
  return text.starts_with("-") || llvm::none_of(text, [](char c) { return llvm::isAlnum(c) || c == '_' || c < 0; });
}

Type Importer::valueType(const ::onnx::TypeProto &type, StringRef name, Location loc) {
  if (!type.has_tensor_type()) {
    emitError(loc) << "value '" << name
                   << "' is no dense tensor; sequences, maps, optionals and sparse tensors are not supported";
    return {};
  }
  const auto &tensor = type.tensor_type();
  Type element = qcc::onnx::elementType(tensor.elem_type(), b.getContext());
  if (!element) {
    emitError(loc) << "value '" << name << "' has elements of " << elementName(tensor.elem_type())
                   << ", which qcc does not support";
    return {};
  }
  if (!tensor.has_shape())
    return UnrankedTensorType::get(element);
  SmallVector<Dim> shape;
  for (const auto &dim : tensor.shape().dim()) {
    if (dim.has_dim_value() && dim.dim_value() >= 0)
      shape.push_back(dims.constant(dim.dim_value()));
    else
      shape.push_back(isUnknown(dim.dim_param()) ? dims.input("") : dims.parse(dim.dim_param()));
  }
  return dims.tensor(shape, element);
}

LogicalResult Importer::readVersions(const google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto> &imports,
                                     Location loc, llvm::StringMap<int64_t> &versions) {
  for (const auto &import : imports)
    versions[normalDomain(import.domain())] = import.version();
  auto it = versions.find("");
  if (it != versions.end() && (it->second < 7 || it->second > 28))
    return emitError(loc) << "uses operator set " << it->second
                          << "; qcc reads operator sets 7 to 28: convert the model with onnx.version_converter";
  return success();
}

/// Some exporters' graphs hold an initializer twice. ONNX forbids it; ONNX Runtime takes the last one for all uses, and
/// so do we, but not silently.
LogicalResult Importer::initializers(const GraphProto &graph, Scope &scope) {
  if (graph.sparse_initializer_size())
    return emitError(fileLoc) << "sparse initializer '" << graph.sparse_initializer(0).values().name()
                              << "' is not supported";
  llvm::StringMap<int> last;
  for (auto [i, tensor] : llvm::enumerate(graph.initializer()))
    last[tensor.name()] = int(i);
  for (auto [i, tensor] : llvm::enumerate(graph.initializer())) {
    if (last[tensor.name()] != int(i)) {
      emitWarning(fileLoc) << "initializer '" << tensor.name() << "' is defined twice; the last definition counts";
      continue;
    }
    RankedTensorType type = tensorType(tensor, fileLoc);
    ElementsAttr data = type ? tensorBytes(tensor, file, fileLoc) : ElementsAttr();
    if (!data)
      return failure();
    Location loc = NameLoc::get(b.getStringAttr(tensor.name()), fileLoc);
    Value weight = qcc::onnx::WeightOp::create(b, loc, type, tensor.name(), data);
    if (!scope.values.try_emplace(tensor.name(), weight).second)
      return emitError(fileLoc) << "initializer '" << tensor.name() << "' has the name of another value";
  }
  return success();
}

FailureOr<Attribute> Importer::attribute(const AttributeProto &attribute, Location loc) {
  switch (attribute.type()) {
  case AttributeProto::FLOAT:
    return Attribute(b.getF32FloatAttr(attribute.f()));
  case AttributeProto::INT:
    return Attribute(b.getI64IntegerAttr(attribute.i()));
  case AttributeProto::STRING:
    return Attribute(b.getStringAttr(attribute.s()));
  case AttributeProto::FLOATS:
    return Attribute(b.getDenseF32ArrayAttr(ArrayRef<float>(attribute.floats().data(), attribute.floats_size())));
  case AttributeProto::INTS:
    return Attribute(b.getDenseI64ArrayAttr(ArrayRef<int64_t>(attribute.ints().data(), attribute.ints_size())));
  case AttributeProto::STRINGS: {
    SmallVector<Attribute> strings;
    for (const std::string &text : attribute.strings())
      strings.push_back(b.getStringAttr(text));
    return Attribute(b.getArrayAttr(strings));
  }
  case AttributeProto::TENSOR: { // a dictionary, because a tensor type cannot hold packed 4-bit elements
    RankedTensorType type = tensorType(attribute.t(), loc);
    ElementsAttr data = type ? tensorBytes(attribute.t(), file, loc) : ElementsAttr();
    if (!data)
      return failure();
    return Attribute(b.getDictionaryAttr({b.getNamedAttr("data", data), b.getNamedAttr("type", TypeAttr::get(type))}));
  }
  default:
    return emitError(loc) << "attribute '" << attribute.name() << "' is of a kind that qcc does not support ("
                          << AttributeProto::AttributeType_Name(attribute.type()) << ")";
  }
}

/// The names that a node reads, its subgraphs' outer names included.
static void readNames(const NodeProto &node, llvm::StringSet<> &names, int depth = 0) {
  for (const std::string &input : node.input())
    if (!input.empty())
      names.insert(input);
  if (depth > maxNesting)
    return;
  for (const auto &attribute : node.attribute())
    if (attribute.has_g()) {
      llvm::StringSet<> inner, made;
      for (const auto &child : attribute.g().node()) {
        readNames(child, inner, depth + 1);
        for (const std::string &output : child.output())
          made.insert(output);
      }
      for (const auto &value : attribute.g().output())
        inner.insert(value.name());
      for (const auto &value : attribute.g().input())
        made.insert(value.name());
      for (const auto &value : attribute.g().initializer())
        made.insert(value.name());
      for (const auto &name : inner)
        if (!made.contains(name.getKey()))
          names.insert(name.getKey());
    }
}

LogicalResult Importer::nodes(ArrayRef<const NodeProto *> list, Scope &scope, StringRef prefix, int depth) {
  // The standard demands that a node stands after those it reads; some exporters do not keep to it, so nodes wait until
  // their inputs are there.
  llvm::StringMap<SmallVector<size_t, 2>> waiting; // name: the nodes that wait for it
  std::vector<size_t> missing(list.size());        // how many names a node waits for
  size_t made = 0;
  SmallVector<size_t> ready;
  for (size_t i = 0; i < list.size(); ++i) {
    llvm::StringSet<> names;
    readNames(*list[i], names);
    for (const auto &name : names)
      if (!scope.find(name.getKey())) {
        waiting[name.getKey()].push_back(i);
        ++missing[i];
      }
    if (missing[i] == 0)
      ready.push_back(i);
    while (!ready.empty()) {
      const NodeProto &next = *list[ready.pop_back_val()];
      if (failed(node(next, scope, prefix, depth)))
        return failure();
      ++made;
      for (const std::string &output : next.output())
        if (auto found = waiting.find(output); found != waiting.end()) {
          for (size_t waiter : llvm::reverse(found->second))
            if (--missing[waiter] == 0)
              ready.push_back(waiter);
          waiting.erase(found);
        }
    }
  }
  if (made == list.size())
    return success();
  const NodeProto &stuck = *list[llvm::find_if(missing, [](size_t count) { return count != 0; }) - missing.begin()];
  llvm::StringSet<> names;
  readNames(stuck, names);
  for (const auto &name : names)
    if (waiting.contains(name.getKey()))
      return emitError(nodeLoc(stuck, prefix))
             << stuck.op_type() << " reads '" << name.getKey()
             << "', which nothing makes before it: the graph is cyclic or lacks a value";
  return emitError(nodeLoc(stuck, prefix)) << stuck.op_type() << " cannot be reached";
}

/// Some exporters' graphs define a constant twice. ONNX forbids it; ONNX Runtime takes the last definition for all
/// uses, and so do we, but not silently. Whether `op` is such a second definition.
static bool redefinesConstant(StringRef name, qcc::onnx::NodeOp op, Scope &scope) {
  auto known = scope.values.find(name);
  auto twin = known != scope.values.end() ? known->second.getDefiningOp<qcc::onnx::NodeOp>() : qcc::onnx::NodeOp();
  if (!twin || op.getOpType() != "Constant" || twin.getOpType() != "Constant" || twin.getDomain() != op.getDomain())
    return false;
  if (twin.getAttrs() != op.getAttrs())
    emitWarning(op.getLoc()) << "the constant '" << name << "' is defined twice; the last definition counts";
  twin.setAttrsAttr(op.getAttrs());
  twin->getResult(0).setType(op->getResult(0).getType());
  return true;
}

LogicalResult Importer::node(const NodeProto &node, Scope &scope, StringRef prefix, int depth) {
  Location loc = nodeLoc(node, prefix);
  if (depth > maxNesting)
    return emitError(loc) << "is nested more than " << maxNesting << " levels deep";
  if (++nodeCount > maxNodes)
    return emitError(loc) << "is one of more than " << maxNodes << " nodes that the model and its functions make";
  if (node.op_type().empty())
    return emitError(loc) << "has no operator type";
  StringRef domain = normalDomain(node.domain());
  auto version = versions.find(domain);
  if (version == versions.end() && domain.empty())
    return emitError(loc) << "uses the default domain, but the model imports no operator set of it";
  int64_t opset = version == versions.end() ? 1 : version->second;

  for (const FunctionProto &function : model->functions())
    if (function.name() == node.op_type() && normalDomain(function.domain()) == domain &&
        function.overload() == node.overload())
      return call(node, function, scope, prefix, loc, depth);
  if (options.isKnown && !options.isKnown(domain, node.op_type(), opset))
    if (auto function = schemaFunction(domain, node.op_type(), opset))
      return call(node, *function, scope, prefix, loc, depth);

  SmallVector<Value> inputs;
  for (const std::string &name : node.input())
    inputs.push_back(name.empty() ? absent() : scope.find(name));
  SmallVector<Type> types;
  for (const std::string &name : node.output())
    types.push_back(name.empty() ? Type(b.getNoneType()) : unknownType());
  SmallVector<NamedAttribute> attrs;
  SmallVector<Attribute> graphNames;
  llvm::StringSet<> names = {"subgraphs"}; // of the attributes; this one is the importer's own
  for (const auto &entry : node.attribute()) {
    if (entry.name().empty() || !names.insert(entry.name()).second)
      return emitError(loc) << "has an attribute without a name of its own: '" << entry.name() << "'";
    if (entry.has_g()) {
      graphNames.push_back(b.getStringAttr(entry.name()));
      continue;
    }
    auto value = attribute(entry, loc);
    if (failed(value))
      return failure();
    attrs.push_back(b.getNamedAttr(entry.name(), *value));
  }
  if (!graphNames.empty())
    attrs.push_back(b.getNamedAttr("subgraphs", b.getArrayAttr(graphNames)));

  auto op = qcc::onnx::NodeOp::create(b, loc, types, node.op_type(), domain, opset, b.getDictionaryAttr(attrs),
                                      DictionaryAttr(), DenseI64ArrayAttr(), inputs, graphNames.size());
  unsigned region = 0;
  for (const auto &entry : node.attribute())
    if (entry.has_g() && failed(subgraph(entry.g(), op.getSubgraphs()[region++], scope, prefix, loc, depth + 1)))
      return failure();
  for (auto [name, value] : llvm::zip(node.output(), op.getOutputs()))
    if (!name.empty() && !redefinesConstant(name, op, scope) && failed(define(name, value, scope, loc)))
      return failure();
  return success();
}

LogicalResult Importer::define(StringRef name, Value value, Scope &scope, Location loc) {
  if (scope.values.try_emplace(name, value).second)
    return success();
  return emitError(loc) << "makes '" << name << "', which the graph has already";
}

LogicalResult Importer::call(const NodeProto &node, FunctionProto function, Scope &scope, StringRef prefix,
                             Location loc, int depth) {
  if (node.input_size() > function.input_size() || node.output_size() > function.output_size())
    return emitError(loc) << node.op_type() << " is called with more inputs or outputs than its function has";
  Scope inner;
  for (int i = 0; i < function.input_size(); ++i)
    inner.values[function.input(i)] =
        i < node.input_size() && !node.input(i).empty() ? scope.find(node.input(i)) : absent();
  llvm::StringMap<int64_t> saved = versions;
  llvm::scope_exit restore([&] { versions = saved; });
  if (failed(readVersions(function.opset_import(), loc, versions)))
    return failure();
  SmallVector<const NodeProto *> body;
  for (NodeProto &child : *function.mutable_node()) {
    bindAttributes(child, node, function);
    body.push_back(&child);
  }
  std::string name = cast<NameLoc>(loc).getName().str() + "/";
  if (failed(nodes(body, inner, name, depth + 1)))
    return failure();
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty())
      continue;
    Value value = inner.find(function.output(i));
    if (!value)
      return emitError(loc) << "function " << node.op_type() << " does not make its output '" << function.output(i)
                            << "'";
    if (failed(define(node.output(i), value, scope, loc)))
      return failure();
  }
  return success();
}

LogicalResult Importer::subgraph(const GraphProto &graph, Region &region, const Scope &outer, StringRef prefix,
                                 Location loc, int depth) {
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&region);
  Scope scope{&outer, {}};
  for (const ValueInfoProto &input : graph.input()) {
    scope.values[input.name()] = block->addArgument(unknownType(), loc);
  }
  if (failed(initializers(graph, scope)))
    return failure();
  SmallVector<const NodeProto *> body;
  for (const NodeProto &child : graph.node())
    body.push_back(&child);
  if (failed(nodes(body, scope, prefix, depth)))
    return failure();
  SmallVector<Value> results;
  for (const ValueInfoProto &output : graph.output()) {
    results.push_back(scope.find(output.name()));
    if (!results.back())
      return emitError(loc) << "its subgraph does not make the output '" << output.name() << "'";
  }
  qcc::onnx::YieldOp::create(b, loc, results);
  return success();
}

OwningOpRef<ModuleOp> Importer::run(const ::onnx::ModelProto &proto) {
  model = &proto;
  const GraphProto &graph = proto.graph();
  OwningOpRef<ModuleOp> module = ModuleOp::create(fileLoc);
  if (failed(readVersions(proto.opset_import(), fileLoc, versions)))
    return {};
  llvm::StringSet<> constants;
  for (const auto &tensor : graph.initializer())
    constants.insert(tensor.name());

  SmallVector<Type> inputTypes;
  SmallVector<const ValueInfoProto *> inputs;
  for (const ValueInfoProto &input : graph.input()) {
    if (constants.contains(input.name()))
      continue; // an input with a default value: the default is what is compiled
    Type type = valueType(input.type(), input.name(), fileLoc);
    if (!type)
      return {};
    if (!isa<RankedTensorType>(type)) {
      emitError(fileLoc) << "input '" << input.name()
                         << "' has no shape in the model: give it one (dimensions may be symbolic)";
      return {};
    }
    inputs.push_back(&input);
    inputTypes.push_back(type);
  }
  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(b, fileLoc, "main", b.getFunctionType(inputTypes, {}));
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  Scope scope;
  for (auto [i, input] : llvm::enumerate(inputs)) {
    function.setArgAttr(i, "onnx.name", b.getStringAttr(input->name()));
    if (!scope.values.try_emplace(input->name(), entry->getArgument(i)).second) {
      emitError(fileLoc) << "input '" << input->name() << "' stands twice in the model";
      return {};
    }
  }
  if (failed(initializers(graph, scope)))
    return {};
  SmallVector<const NodeProto *> body;
  for (const NodeProto &child : graph.node())
    body.push_back(&child);
  if (failed(nodes(body, scope, "", 0)))
    return {};

  SmallVector<Value> results;
  SmallVector<Attribute> names;
  for (const ValueInfoProto &output : graph.output()) {
    Value value = scope.find(output.name());
    if (!value) {
      emitError(fileLoc) << "nothing makes the model's output '" << output.name() << "'";
      return {};
    }
    results.push_back(value);
    names.push_back(b.getStringAttr(output.name()));
  }
  func::ReturnOp::create(b, fileLoc, results);
  function.setFunctionType(b.getFunctionType(inputTypes, ValueRange(results).getTypes()));
  for (auto [i, name] : llvm::enumerate(names))
    function.setResultAttr(i, "onnx.name", name);
  dims.store(*module);
  return module;
}

OwningOpRef<ModuleOp> qcc::importModel(StringRef path, MLIRContext &context, const ImportOptions &options) {
  context.loadDialect<qcc::onnx::OnnxDialect, func::FuncDialect>();
  auto file = ModelFile::open(path);
  if (!file) {
    emitError(UnknownLoc::get(&context)) << llvm::toString(file.takeError());
    return {};
  }
  ::onnx::ModelProto proto;
  StringRef bytes = file->protobuf();
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  if (bytes.size() > INT32_MAX || !proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage() ||
      !proto.has_graph()) {
    emitError(UnknownLoc::get(&context)) << "'" << file->path()
                                         << "' is not an ONNX model: its protobuf is malformed or cut short";
    return {};
  }
  OwningOpRef<ModuleOp> module = Importer(*file, context, options).run(proto);
  if (options.filesRead)
    llvm::append_range(*options.filesRead, file->paths());
  if (options.mappings)
    llvm::append_range(*options.mappings, file->mappings());
  return module;
}
