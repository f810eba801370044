// Matrix products: MatMul, Gemm, FusedMatMul and Einsum.
#include "Register.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

namespace {
/// An operand seen as a batch of matrices; `row` and `column` are axes, absent (-1) for the row of a left vector and
/// the column of a right one.
struct Matrices {
  Value tensor;
  SmallVector<Dim> dims, batch;
  int64_t row, column;

  Matrices(Value tensor, bool transposed, bool rowIsFirst, bool isLeft)
      : tensor(tensor), dims(dimsOf(tensor.getType())) {
    int64_t rank = int64_t(dims.size());
    row = rank == 1 ? (isLeft ? -1 : 0) : rowIsFirst ? 0 : rank - 2;
    column = rank == 1 && !isLeft ? -1 : rank - 1;
    for (int64_t i = 0; i < rank; ++i)
      if (i != row && i != column)
        batch.push_back(dims[i]);
    if (transposed && rank > 1)
      std::swap(row, column);
  }
  Dim rows(Dimensions &d) const { return row < 0 ? d.constant(1) : dims[row]; }
  Dim columns(Dimensions &d) const { return column < 0 ? d.constant(1) : dims[column]; }

  Value load(Kernel &k, const Index &batchIndex, Value r, Value c) const {
    SmallVector<Value> outer = k.broadcastIndex(batchIndex, batch).coords(k), all;
    for (int64_t i = 0, next = 0; i < int64_t(dims.size()); ++i)
      all.push_back(i == row ? r : i == column ? c : outer[next++]);
    return k.load(tensor, all);
  }
};

struct Product {
  Matrices left, right;
  explicit Product(const Node &node)
      : left(node.input(0), node.intAttr("transA", 0), node.intAttr("transBatchA", 0), true),
        right(node.input(1), node.intAttr("transB", 0), node.intAttr("transBatchB", 0), false) {}
};
} // namespace

/// Whether two lengths are known to differ.
static bool differ(Dim a, Dim b) { return constantOf(a) && constantOf(b) && a != b; }

/// Demands that the inner lengths agree. Where one of them is only known when the program starts and the other is a
/// constant, its operand gets that: whatever becomes of the product reads no further.
static void requireInner(Infer &infer, const Product &p) {
  Dim left = p.left.columns(infer.dim()), right = p.right.rows(infer.dim());
  if (left == right)
    return;
  infer.requireEqual(left, right);
  for (auto [i, side, axis, length] :
       {std::tuple(0u, &p.left, p.left.column, right), std::tuple(1u, &p.right, p.right.row, left)})
    if (constantOf(length) && !constantOf(side->dims[axis])) {
      SmallVector<Dim> dims = side->dims;
      dims[axis] = length;
      infer.op->setOperand(i, infer.reshape(infer.checked(side->tensor), dims));
    }
}

static LogicalResult inferMatMul(Infer &infer) {
  if (infer.inputs() != 2 || !infer.has(0) || !infer.has(1))
    return infer.error("takes two operands");
  if (infer.rank(0) == 0 || infer.rank(1) == 0)
    return infer.error("has a scalar operand");
  Product p(infer);
  if (differ(p.left.columns(infer.dim()), p.right.rows(infer.dim())))
    return infer.error("has operands whose inner lengths differ: " + Twine(*constantOf(p.left.columns(infer.dim()))) +
                       " and " + Twine(*constantOf(p.right.rows(infer.dim()))));
  SmallVector<Dim> dims = infer.broadcast({p.left.batch, p.right.batch});
  if (p.left.row >= 0)
    dims.push_back(p.left.dims[p.left.row]);
  if (p.right.column >= 0)
    dims.push_back(p.right.dims[p.right.column]);
  infer.result(0, dims, infer.element(0));
  requireInner(infer, p);
  return success();
}

static LogicalResult lowerMatMul(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  Product p(node);
  SmallVector<Dim> result = node.outputDims();
  bool hasRow = p.left.row >= 0, hasColumn = p.right.column >= 0;
  SmallVector<Dim> batches(ArrayRef<Dim>(result).drop_back(hasRow + hasColumn));
  Type element = node.element(0), accumulator = accumulatorOf(element);
  double alpha = node.floatAttr("alpha", 1);
  Contraction c;
  c.rows = p.left.rows(d), c.columns = p.right.columns(d), c.depth = p.left.columns(d);
  // One matrix on the right for a whole batch on the left: its rows are one long matrix.
  bool flat = p.right.batch.empty() && ArrayRef<Dim>(p.left.batch) == ArrayRef<Dim>(batches) &&
              p.left.row == int64_t(p.left.dims.size()) - 2 && hasColumn;
  SmallVector<Dim> outer = batches;
  if (flat)
    c.rows = d.mul(d.product(batches), c.rows), batches.clear();
  c.batches = batches;
  c.accumulator = accumulator;
  c.rightIsTransposed = p.right.column != int64_t(p.right.dims.size()) - 1;
  c.leftIsContiguous = p.left.column == int64_t(p.left.dims.size()) - 1;
  c.rightIsContiguous = !c.rightIsTransposed && hasColumn && storageType(element) == computeType(element);
  c.left = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value step) {
    if (flat)
      return k.load(p.left.tensor, Index(p.left.dims, k.add(k.mul(row, k.dim(c.depth)), step)));
    return p.left.load(k, Index(batches, batch), row, step);
  };
  c.right = [&](Kernel &k, ArrayRef<Value> batch, Value step, Value column) {
    return p.right.load(k, Index(batches, batch), step, column);
  };
  c.store = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value column, Value sum) {
    if (alpha != 1)
      sum = multiply(k, sum, numberConstant(k.b, accumulator, alpha));
    if (flat)
      return k.store(node.output(), Index(result, k.add(k.mul(row, k.dim(c.columns)), column)), sum);
    SmallVector<Value> at(batch);
    if (hasRow)
      at.push_back(row);
    if (hasColumn)
      at.push_back(column);
    k.store(node.output(), at, sum);
  };
  emitContraction(lowering, "matmul", c);
  return success();
}

static LogicalResult inferGemm(Infer &infer) {
  if (infer.inputs() < 2 || !infer.has(0) || !infer.has(1) || infer.rank(0) != 2 || infer.rank(1) != 2)
    return infer.error("takes two matrices");
  Product p(infer);
  Dimensions &d = infer.dim();
  if (differ(p.left.columns(d), p.right.rows(d)))
    return infer.error("has matrices whose inner lengths differ");
  SmallVector<Dim> result = {p.left.rows(d), p.right.columns(d)};
  if (infer.has(2)) {
    SmallVector<Dim> bias = infer.dims(2);
    for (size_t i = 0; i < bias.size(); ++i)
      if (bias.size() > 2 || (constantOf(bias[i]) != 1 && differ(bias[i], result[2 - bias.size() + i])))
        return infer.error("has an operand C that does not broadcast to the result");
    for (size_t i = 0; i < bias.size(); ++i) {
      Dim to = result[2 - bias.size() + i];
      infer.requireEqual(d.ifEqual(bias[i], d.constant(1), to, bias[i]), to);
    }
  }
  infer.result(0, result, infer.element(0));
  requireInner(infer, p);
  return success();
}

static LogicalResult lowerGemm(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  Product p(node);
  SmallVector<Dim> result = node.outputDims();
  Type element = node.element(0), accumulator = accumulatorOf(element);
  double alpha = node.floatAttr("alpha", 1), beta = node.floatAttr("beta", 1);
  Contraction c;
  c.rows = result[0], c.columns = result[1], c.depth = p.left.columns(d);
  c.accumulator = accumulator;
  c.rightIsTransposed = p.right.column == 0;
  c.leftIsContiguous = p.left.column == 1;
  c.rightIsContiguous = !c.rightIsTransposed && storageType(element) == computeType(element);
  c.left = [&](Kernel &k, ArrayRef<Value>, Value row, Value step) {
    return p.left.load(k, Index({}, ValueRange()), row, step);
  };
  c.right = [&](Kernel &k, ArrayRef<Value>, Value step, Value column) {
    return p.right.load(k, Index({}, ValueRange()), step, column);
  };
  // The factors of an integer Gemm are floats; the product is taken there and truncated.
  auto scaled = [&](Kernel &k, Value value, double factor) {
    if (factor == 1)
      return value;
    if (isFloat(accumulator) || factor == std::floor(factor))
      return multiply(k, value, numberConstant(k.b, accumulator, factor));
    Type wide = k.b.getF64Type();
    return castNumber(k.b, multiply(k, castNumber(k.b, value, accumulator, wide), numberConstant(k.b, wide, factor)),
                      wide, accumulator);
  };
  c.store = [&](Kernel &k, ArrayRef<Value>, Value row, Value column, Value sum) {
    Index at(result, ValueRange{row, column});
    sum = scaled(k, sum, alpha);
    if (node.has(2) && beta != 0)
      sum = plus(k, sum, scaled(k, k.load(node.input(2), k.broadcastIndex(at, node.dims(2))), beta));
    k.store(node.output(), at, sum);
  };
  emitContraction(lowering, "gemm", c);
  return success();
}

namespace {
/// An Einsum equation over labels that are letters; the dimensions of an ellipsis are labels too, numbered from the
/// last one so that they broadcast.
struct Equation {
  SmallVector<SmallVector<int>> terms;
  SmallVector<int> result;
  llvm::DenseMap<int, Dim> lengths;
};
} // namespace

static constexpr int ellipsis = -1,
                     ellipsisLabel =
                         256; // ellipsisLabel + i stands for the dimension i places before the ellipsis' end

static FailureOr<SmallVector<int>> labelsOf(const Node &node, StringRef text) {
  SmallVector<int> labels;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ')
      continue;
    if (text.substr(i).starts_with("...")) {
      labels.push_back(ellipsis);
      i += 2;
    } else if (llvm::isAlpha(text[i]))
      labels.push_back(text[i]);
    else
      return node.error("has an equation with the unexpected character '" + Twine(text[i]) + "'");
  }
  if (llvm::count(labels, ellipsis) > 1)
    return node.error("has an equation with two ellipses in one term");
  return labels;
}

static SmallVector<int> withEllipsis(ArrayRef<int> labels, int64_t length) {
  SmallVector<int> result;
  for (int label : labels)
    if (label != ellipsis)
      result.push_back(label);
    else
      for (int64_t i = length; i-- > 0;)
        result.push_back(ellipsisLabel + int(i));
  return result;
}

static FailureOr<Equation> equationOf(const Node &node, Dimensions &dims) {
  auto [left, right] = node.stringAttr("equation", "").split("->");
  bool isExplicit = node.stringAttr("equation", "").contains("->");
  SmallVector<StringRef> texts;
  left.split(texts, ',');
  if (texts.size() != node.inputs())
    return node.error("has an equation of " + Twine(texts.size()) + " terms for " + Twine(node.inputs()) + " operands");
  Equation e;
  int64_t longest = 0;
  for (unsigned i = 0; i < node.inputs(); ++i) {
    auto labels = labelsOf(node, texts[i]);
    if (failed(labels))
      return failure();
    bool open = llvm::is_contained(*labels, ellipsis);
    int64_t spare = node.rank(i) - int64_t(labels->size()) + open;
    if (spare < 0 || (!open && spare))
      return node.error("has a term '" + texts[i] + "' for an operand of rank " + Twine(node.rank(i)));
    longest = std::max(longest, spare);
    e.terms.push_back(withEllipsis(*labels, spare));
    for (auto [label, dim] : llvm::zip(e.terms.back(), node.dims(i))) {
      auto [it, fresh] = e.lengths.try_emplace(label, dim);
      if (!fresh)
        it->second = dims.broadcast(it->second, dim);
    }
  }
  if (isExplicit) {
    auto labels = labelsOf(node, right);
    if (failed(labels))
      return failure();
    e.result = withEllipsis(*labels, longest);
  } else { // the labels that occur once, in alphabetical order, after the ellipsis
    e.result = withEllipsis({ellipsis}, longest);
    std::map<int, int> counts;
    for (const auto &term : e.terms)
      for (int label : term)
        if (label < ellipsisLabel)
          ++counts[label];
    for (auto [label, count] : counts)
      if (count == 1)
        e.result.push_back(label);
  }
  for (size_t i = 0; i < e.result.size(); ++i)
    if (!e.lengths.contains(e.result[i]) || llvm::is_contained(ArrayRef<int>(e.result).take_front(i), e.result[i]))
      return node.error("has an equation whose result has a label that is unknown or stands there twice");
  return e;
}

static LogicalResult inferEinsum(Infer &infer) {
  auto e = equationOf(infer, infer.dim());
  if (failed(e))
    return failure();
  Dim one = infer.dim().constant(1);
  for (unsigned i = 0; i < infer.inputs(); ++i)
    for (auto [label, own] : llvm::zip(e->terms[i], infer.dims(i))) {
      Dim length = e->lengths[label];
      if (own != one && differ(own, length))
        return infer.error("has operands with different lengths of one label: " + Twine(*constantOf(own)) + " and " +
                           Twine(*constantOf(length)));
      if (own != one)
        infer.requireEqual(infer.dim().ifEqual(own, one, length, own), length);
    }
  infer.result(0, llvm::map_to_vector(e->result, [&](int label) { return e->lengths[label]; }), infer.element(0));
  return success();
}

static LogicalResult lowerEinsum(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  auto e = equationOf(node, dims);
  if (failed(e))
    return failure();
  // The last operand is the right side of a contraction, the product of all others the left one (1 when there is none).
  unsigned last = node.inputs() - 1;
  auto inLeft = [&](int label) {
    return llvm::any_of(ArrayRef(e->terms).drop_back(),
                        [&](ArrayRef<int> term) { return llvm::is_contained(term, label); });
  };
  SmallVector<int> batch, rows, columns, depth;
  for (int label : e->result) {
    bool left = inLeft(label), right = llvm::is_contained(e->terms[last], label);
    (left && right ? batch : left ? rows : columns).push_back(label);
  }
  for (const auto &term : e->terms)
    for (int label : term)
      if (!llvm::is_contained(e->result, label) && !llvm::is_contained(depth, label))
        depth.push_back(label);
  auto lengths = [&](ArrayRef<int> labels) {
    return llvm::map_to_vector(labels, [&](int label) { return e->lengths[label]; });
  };
  SmallVector<Dim> rowDims = lengths(rows), columnDims = lengths(columns), depthDims = lengths(depth);
  using Places = llvm::SmallDenseMap<int, Value>;
  auto place = [](Places &places, ArrayRef<int> labels, ArrayRef<Value> coordinates) {
    for (auto [label, value] : llvm::zip(labels, coordinates))
      places[label] = value;
  };
  auto load = [&](Kernel &k, unsigned i, const Places &places) {
    SmallVector<Dim> full = lengths(e->terms[i]);
    SmallVector<Value> at;
    for (int label : e->terms[i])
      at.push_back(places.lookup(label));
    return k.load(node.input(i), k.broadcastIndex(Index(full, at), node.dims(i)));
  };
  Type element = node.element(0);
  Contraction c;
  c.batches = lengths(batch);
  c.rows = dims.product(rowDims), c.columns = dims.product(columnDims), c.depth = dims.product(depthDims);
  c.accumulator = accumulatorOf(element);
  c.left = [&](Kernel &k, ArrayRef<Value> b, Value row, Value step) {
    Places places;
    place(places, batch, b), place(places, rows, k.delinearize(row, rowDims)),
        place(places, depth, k.delinearize(step, depthDims));
    Value product = numberConstant(k.b, c.accumulator, 1);
    for (unsigned i = 0; i < last; ++i)
      product = i == 0 ? load(k, i, places) : multiply(k, product, load(k, i, places));
    return product;
  };
  c.right = [&](Kernel &k, ArrayRef<Value> b, Value step, Value column) {
    Places places;
    place(places, batch, b), place(places, columns, k.delinearize(column, columnDims)),
        place(places, depth, k.delinearize(step, depthDims));
    return load(k, last, places);
  };
  c.store = [&](Kernel &k, ArrayRef<Value> b, Value row, Value column, Value sum) {
    Places places;
    place(places, batch, b), place(places, rows, k.delinearize(row, rowDims)),
        place(places, columns, k.delinearize(column, columnDims));
    k.store(node.output(), llvm::map_to_vector(e->result, [&](int label) { return places.lookup(label); }), sum);
  };
  emitContraction(lowering, "einsum", c);
  return success();
}

void qcc::registerMatMul(OperatorRegistry &registry) {
  registry.add("", "MatMul", inferMatMul, lowerMatMul, /*acceptsEpilogue=*/true);
  registry.add("com.microsoft", "FusedMatMul", inferMatMul, lowerMatMul, /*acceptsEpilogue=*/true);
  registry.add("", "Gemm", inferGemm, lowerGemm, /*acceptsEpilogue=*/true);
  registry.add("", "Einsum", inferEinsum, lowerEinsum, /*acceptsEpilogue=*/true);
}
