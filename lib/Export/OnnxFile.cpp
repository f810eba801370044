#include "qcc/Export/OnnxFile.h"
#include "dialects/onnx/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "onnx/onnx-ml.pb.h"
#include "qcc/Canonicalize/Dimensions.h"
#include "qcc/Operator/Node.h"
#include <set>

using namespace mlir;
using namespace qcc;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;

// The first operator set in which a scale may go along an axis, and the first with 8-bit floats.
static constexpr int64_t leastVersion = 13,
                         float8Version = 21;                // the attribute that makes QuantizeLinear give such numbers
static constexpr int64_t largestFile = INT64_C(2147483647); // what protobuf can hold

namespace {
/// An operand that shape inference resolves, and the name that it does so by.
struct ShapeOperand {
  StringRef type;
  unsigned operand;
  StringRef name;
};
constexpr ShapeOperand shapeOperands[] = {
    {"Squeeze", 1, "axes"},   {"Unsqueeze", 1, "axes"}, {"Slice", 1, "starts"},   {"Slice", 2, "ends"},
    {"Slice", 3, "axes"},     {"Slice", 4, "steps"},    {"Pad", 1, "given_pads"}, {"Pad", 3, "axes"},
    {"Expand", 1, "shape"},   {"Tile", 1, "repeats"},   {"Split", 1, "split"},    {"ReduceMean", 1, "axes"},
    {"ReduceSum", 1, "axes"}, {"ReduceMax", 1, "axes"}, {"ReduceMin", 1, "axes"}, {"TopK", 1, "k"},
};

class Exporter {
public:
  explicit Exporter(ModuleOp module) : module(module) {}

  LogicalResult run(llvm::raw_ostream &os) {
    auto main = module.lookupSymbol<func::FuncOp>("main");
    auto dims = Dimensions::load(module);
    if (failed(dims))
      return failure();
    for (const Dimensions::Symbol &symbol : dims->symbols())
      symbols.push_back(symbol.name);
    graph = model.mutable_graph();
    graph->set_name("main");
    for (BlockArgument argument : main.getArguments()) {
      auto name = main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "onnx.name");
      names[argument] = name.str();
      taken.insert(name.str());
      describe(*graph->add_input(), name.getValue(), argument.getType());
    }
    Operation *end = main.getBody().front().getTerminator();
    SmallVector<std::pair<Value, std::string>> copies;
    for (auto [i, value] : llvm::enumerate(end->getOperands())) {
      auto name = main.getResultAttrOfType<StringAttr>(unsigned(i), "onnx.name");
      taken.insert(name.str());
      describe(*graph->add_output(), name.getValue(), value.getType());
      if (value.getDefiningOp<::qcc::onnx::NodeOp>() && !names.count(value))
        names[value] = name.str();
      else
        copies.push_back({value, name.str()});
    }
    for (Operation &op : main.getBody().front()) {
      if (auto weight = dyn_cast<::qcc::onnx::WeightOp>(op))
        addConstant(weight);
      else if (auto node = dyn_cast<::qcc::onnx::NodeOp>(op); node && failed(addNode(node)))
        return failure();
      else if (!isa<::qcc::onnx::WeightOp, ::qcc::onnx::NodeOp, ::qcc::onnx::AbsentOp, func::ReturnOp>(op))
        return op.emitError("has no form in ONNX");
    }
    for (auto &[value, name] : copies) {
      NodeProto *copy = graph->add_node();
      copy->set_op_type("Identity");
      copy->add_input(nameOf(value));
      copy->add_output(name);
    }
    return finish(os);
  }

private:
  LogicalResult finish(llvm::raw_ostream &os) {
    constexpr int64_t fileVersion = 9; // of the format, in which operator set 20 came
    model.set_ir_version(version > 20 ? fileVersion + 1 : fileVersion);
    model.set_producer_name("qcc");
    auto *own = model.add_opset_import();
    own->set_version(version);
    if (usesMicrosoft) {
      auto *other = model.add_opset_import();
      other->set_domain("com.microsoft");
      other->set_version(1);
    }
    std::string bytes;
    if (int64_t(model.ByteSizeLong()) > largestFile || !model.SerializeToString(&bytes))
      return module.emitError("is larger than 2 GiB, which an ONNX file without external data cannot hold");
    os << bytes;
    return success();
  }

  static std::string unique(StringRef hint, std::set<std::string> &taken) {
    std::string name = hint.str();
    for (int i = 1; !taken.insert(name).second; ++i)
      name = (hint + "." + Twine(i)).str();
    return name;
  }

  std::string nameOf(Value value) {
    if (isa<NoneType>(value.getType()))
      return "";
    auto [it, isNew] = names.try_emplace(value);
    if (isNew) {
      auto loc = dyn_cast<NameLoc>(value.getLoc());
      it->second = unique(loc ? loc.getName().getValue() : "value", taken);
    }
    return it->second;
  }

  void describe(::onnx::ValueInfoProto &info, StringRef name, Type type) {
    auto tensor = cast<RankedTensorType>(type);
    info.set_name(name.str());
    auto *proto = info.mutable_type()->mutable_tensor_type();
    proto->set_elem_type(int32_t(*::qcc::onnx::dataTypeOf(tensor.getElementType())));
    auto *shape = proto->mutable_shape();
    for (Dim dim : dimsOf(tensor)) {
      auto *length = shape->add_dim();
      if (auto known = constantOf(dim))
        length->set_dim_value(*known);
      else if (auto symbol = dyn_cast<AffineSymbolExpr>(dim); symbol && !symbols[symbol.getPosition()].empty())
        length->set_dim_param(symbols[symbol.getPosition()]);
    }
  }

  void addConstant(::qcc::onnx::WeightOp weight) {
    if (weight.getResult().use_empty())
      return;
    auto tensor = constantOf(weight.getResult());
    auto [it, isNew] = names.try_emplace(weight.getResult());
    it->second = unique(weight.getName(), taken);
    auto *proto = graph->add_initializer();
    proto->set_name(it->second);
    proto->set_data_type(int32_t(*::qcc::onnx::dataTypeOf(tensor->type.getElementType())));
    for (int64_t length : tensor->type.getShape())
      proto->add_dims(length);
    proto->set_raw_data(tensor->bytes.data(), tensor->bytes.size());
  }

  std::string addIntegers(ArrayRef<int64_t> numbers, StringRef hint) {
    auto *proto = graph->add_initializer();
    proto->set_name(unique(hint, taken));
    proto->set_data_type(::onnx::TensorProto::INT64);
    proto->add_dims(int64_t(numbers.size()));
    proto->set_raw_data(numbers.data(), numbers.size() * sizeof(int64_t));
    return proto->name();
  }

  LogicalResult addNode(::qcc::onnx::NodeOp op) {
    Node node(op);
    if (op->getNumRegions())
      return op.emitError("has subgraphs, which are not written into ONNX files");
    if (op.getDomain() == "qcc" && op.getOpType() == "View")
      return addView(node);
    if (op.getDomain() == "com.microsoft")
      usesMicrosoft = true;
    else if (!op.getDomain().empty())
      return op.emitError("is an operator of qcc's own, which no ONNX file has");
    if (failed(checkVersion(op)))
      return failure();
    SmallVector<std::string> inputs;
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      inputs.push_back(node.has(i) ? nameOf(node.input(i)) : "");
    if (failed(restoreShapes(node, inputs)))
      return failure();
    while (!inputs.empty() && inputs.back().empty())
      inputs.pop_back();
    NodeProto *proto = graph->add_node(); // behind those that compute its shapes
    proto->set_op_type(op.getOpType().str());
    proto->set_domain(op.getDomain().str());
    if (auto loc = dyn_cast<NameLoc>(op->getLoc()))
      proto->set_name(unique(loc.getName(), nodeNames));
    for (const std::string &input : inputs)
      proto->add_input(input);
    for (Value result : op->getResults())
      proto->add_output(nameOf(result));
    for (NamedAttribute attr : op.getAttrs())
      if (failed(addAttribute(*proto, attr, op)))
        return failure();
    return success();
  }

  /// A part of a tensor, as shape inference writes a Gather of one index and others that move nothing: a Slice.
  LogicalResult addView(const Node &node) {
    auto from = node.resolved("from"), offset = node.resolved("offset"), step = node.resolved("step");
    SmallVector<Dim> lengths = node.outputDims();
    bool keepsAxes =
        from && offset && step && from->size() == lengths.size() && node.rank(0) == int64_t(lengths.size());
    SmallVector<int64_t> starts, ends, axes, steps;
    for (size_t i = 0; keepsAxes && i < lengths.size(); ++i) {
      auto start = constantOf((*offset)[i]), stride = constantOf((*step)[i]), length = constantOf(lengths[i]);
      keepsAxes &= constantOf((*from)[i]) == int64_t(i);
      bool isWhole = start == 0 && stride == 1 && lengths[i] == node.dims(0)[i];
      if (isWhole)
        continue;
      if (!start || !stride || !length || *start < 0 || *stride < 0) {
        keepsAxes = false;
        break;
      }
      axes.push_back(int64_t(i)), starts.push_back(*start), steps.push_back(std::max<int64_t>(1, *stride));
      ends.push_back(*start + std::max<int64_t>(0, *length - 1) * steps.back() + 1);
    }
    if (!keepsAxes)
      return node.op.emitError("takes a part of a tensor in a way that has no form in the ONNX file");
    std::string operands[] = {nameOf(node.input(0)), addIntegers(starts, "starts"), addIntegers(ends, "ends"),
                              addIntegers(axes, "axes"), addIntegers(steps, "steps")};
    NodeProto *proto = graph->add_node();
    proto->set_op_type("Slice");
    for (const std::string &operand : operands)
      proto->add_input(operand);
    proto->add_output(nameOf(node.output()));
    return success();
  }

  /// Operators whose operands and attributes changed before the operator set that scales along an axis need.
  LogicalResult checkVersion(::qcc::onnx::NodeOp op) {
    int64_t own = op.getDomain().empty() ? op.getVersion() : 1;
    bool isMade = llvm::is_contained({"QuantizeLinear", "DequantizeLinear"}, op.getOpType()) || own == 14;
    if (!isMade)
      version = std::max(version, own);
    for (Type type : op->getResultTypes())
      if (auto tensor = dyn_cast<RankedTensorType>(type); tensor && isa<Float8E4M3FNType>(tensor.getElementType()))
        version = std::max(version, float8Version);
    static constexpr std::pair<StringLiteral, int64_t> changes[] = {
        {"Squeeze", 13}, {"Unsqueeze", 13}, {"ReduceSum", 13}, {"Split", 13},
        {"Softmax", 13}, {"Clip", 11},      {"Pad", 11},       {"Slice", 10},
        {"TopK", 10},    {"Resize", 11},    {"Upsample", 10},  {"BatchNormalization", 9},
        {"Dropout", 12}, {"LogSoftmax", 13}};
    for (auto [type, since] : changes)
      if (op.getOpType() == type && own < since)
        return op.emitError("is of operator set ") << own << ", and quantized models are written in " << leastVersion
                                                   << " or later: convert the model with onnx.version_converter first";
    return success();
  }

  /// A node that computes with lengths: lists of int64.
  std::string addLengths(StringRef type, ArrayRef<std::string> operands, StringRef attr = "", int64_t number = 0) {
    NodeProto *proto = graph->add_node();
    proto->set_op_type(type.str());
    for (const std::string &operand : operands)
      proto->add_input(operand);
    if (!attr.empty()) {
      AttributeProto *own = proto->add_attribute();
      own->set_name(attr.str());
      own->set_type(AttributeProto::INT);
      own->set_i(number);
    }
    proto->add_output(unique("length", taken));
    return proto->output(0);
  }

  /// A list of one length, computed from those of the inputs; empty where that is not how it is known.
  std::string lengthOf(Dim dim) {
    if (auto known = constantOf(dim))
      return addIntegers(*known, "length");
    auto main = module.lookupSymbol<func::FuncOp>("main");
    for (BlockArgument argument : main.getArguments())
      for (auto [axis, own] : llvm::enumerate(dimsOf(argument.getType())))
        if (own == dim)
          return addLengths("Gather", {addLengths("Shape", {names[argument]}), addIntegers(int64_t(axis), "axis")});
    auto binary = dyn_cast<AffineBinaryOpExpr>(dim);
    if (!binary)
      return "";
    std::string left = lengthOf(binary.getLHS()), right = lengthOf(binary.getRHS());
    if (left.empty() || right.empty())
      return "";
    switch (dim.getKind()) {
    case AffineExprKind::Add:
      return addLengths("Add", {left, right});
    case AffineExprKind::Mul:
      return addLengths("Mul", {left, right});
    case AffineExprKind::FloorDiv: // lengths are not negative
      return addLengths("Div", {left, right});
    case AffineExprKind::Mod:
      return addLengths("Mod", {left, right});
    default:
      return "";
    }
  }

  FailureOr<std::string> shapeOf(const Node &node, ArrayRef<Dim> dims) {
    SmallVector<int64_t> numbers;
    for (Dim dim : dims)
      if (auto known = constantOf(dim))
        numbers.push_back(*known);
    if (numbers.size() == dims.size())
      return addIntegers(numbers, (node.type() + ".shape").str());
    SmallVector<std::string> lengths;
    for (Dim dim : dims) {
      lengths.push_back(lengthOf(dim));
      if (lengths.back().empty())
        return node.op.emitError("has a shape that is not computed from the inputs' lengths alone: it has no form in "
                                 "the ONNX file; fix the model's dimensions");
    }
    return addLengths("Concat", lengths, "axis", 0);
  }

  LogicalResult restoreShapes(const Node &node, SmallVectorImpl<std::string> &inputs) {
    auto restore = [&](unsigned operand, ArrayRef<Dim> dims) -> LogicalResult {
      auto name = shapeOf(node, dims);
      if (failed(name))
        return failure();
      if (inputs.size() <= operand)
        inputs.resize(operand + 1);
      inputs[operand] = *name;
      return success();
    };
    if (node.type() == "Reshape" && !node.has(1)) {
      auto known = node.resolved("shape");
      return restore(1, known ? *known : node.outputDims());
    }
    for (const ShapeOperand &row : shapeOperands) {
      auto known = node.type() == row.type && !node.has(row.operand) ? node.resolved(row.name) : std::nullopt;
      if (known && row.operand < node.inputs() && failed(restore(row.operand, *known)))
        return failure();
    }
    return success();
  }

  LogicalResult addAttribute(NodeProto &node, NamedAttribute attr, ::qcc::onnx::NodeOp op) {
    AttributeProto &proto = *node.add_attribute();
    proto.set_name(attr.getName().str());
    if (auto number = dyn_cast<IntegerAttr>(attr.getValue())) {
      proto.set_type(AttributeProto::INT);
      proto.set_i(number.getInt());
    } else if (auto number = dyn_cast<FloatAttr>(attr.getValue())) {
      proto.set_type(AttributeProto::FLOAT);
      proto.set_f(float(number.getValueAsDouble()));
    } else if (auto text = dyn_cast<StringAttr>(attr.getValue())) {
      proto.set_type(AttributeProto::STRING);
      proto.set_s(text.str());
    } else if (auto numbers = dyn_cast<DenseI64ArrayAttr>(attr.getValue())) {
      proto.set_type(AttributeProto::INTS);
      for (int64_t number : numbers.asArrayRef())
        proto.add_ints(number);
    } else if (auto numbers = dyn_cast<DenseF32ArrayAttr>(attr.getValue())) {
      proto.set_type(AttributeProto::FLOATS);
      for (float number : numbers.asArrayRef())
        proto.add_floats(number);
    } else if (auto texts = dyn_cast<ArrayAttr>(attr.getValue())) {
      proto.set_type(AttributeProto::STRINGS);
      for (auto text : texts.getAsRange<StringAttr>())
        proto.add_strings(text.str());
    } else {
      return op.emitError("has the attribute '") << attr.getName().getValue() << "', whose kind is not written";
    }
    return success();
  }

  ModuleOp module;
  ::onnx::ModelProto model;
  GraphProto *graph = nullptr;
  llvm::DenseMap<Value, std::string> names;
  std::set<std::string> taken, nodeNames; // of values, of nodes
  std::vector<std::string> symbols;
  int64_t version = leastVersion;
  bool usesMicrosoft = false;
};
} // namespace

LogicalResult qcc::writeOnnx(ModuleOp module, llvm::raw_ostream &os) { return Exporter(module).run(os); }
