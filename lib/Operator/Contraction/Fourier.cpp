// DFT and STFT: convolutions of the signal with cosines and sines.
#include "Register.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Numbers.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxCoefficients = 1 << 24; // 64 MiB in float32

namespace {
/// What a transform takes and gives: numbers of one part, or of a real and an imaginary one.
struct Transform {
  int64_t length;                     // of the transform
  int64_t taken, given;               // positions of the signal and of the spectrum, or the other way round
  int64_t parts, results;             // of a number that is taken, and of one that is given
  bool inverse = false, half = false; // only the half of the spectrum that says all of it
};
} // namespace

/// The factor of part `from` of number `j` in part `to` of result `m`: of exp(-2πi·j·m / length), and where only half
/// of a spectrum is taken, of the other half too.
static double coefficient(const Transform &t, int64_t j, int64_t from, int64_t m, int64_t to) {
  double angle = 2 * M_PI * double(j * m % t.length) / double(t.length);
  double sign = t.inverse ? 1 : -1;
  double value = from == to ? std::cos(angle) : (from == 0 ? sign : -sign) * std::sin(angle);
  if (!t.inverse)
    return value;
  bool twice = t.half && j != 0 && 2 * j != t.length;
  return value * (twice ? 2 : 1) / double(t.length);
}

/// The filters (given · results, parts, taken) of a convolution that transforms what it goes over; each tap times the
/// number of the window for it.
static FailureOr<Value> filters(Infer &infer, const Transform &t, ArrayRef<double> window, Type element) {
  SmallVector<Dim> dims;
  for (int64_t dim : {t.given * t.results, t.parts, t.taken})
    dims.push_back(infer.dim().constant(dim));
  std::vector<float> singles;
  std::vector<double> doubles;
  for (int64_t m = 0; m < t.given; ++m)
    for (int64_t to = 0; to < t.results; ++to)
      for (int64_t from = 0; from < t.parts; ++from)
        for (int64_t j = 0; j < t.taken; ++j)
          doubles.push_back(coefficient(t, j, from, m, to) * (window.empty() ? 1 : window[j]));
  OpBuilder b(infer.op);
  bool wide = element.isF64();
  auto bytes = ArrayRef(reinterpret_cast<const char *>(doubles.data()), doubles.size() * sizeof(double));
  if (!wide) {
    singles.assign(doubles.begin(), doubles.end());
    bytes = ArrayRef(reinterpret_cast<const char *>(singles.data()), singles.size() * sizeof(float));
  }
  auto data = DenseElementsAttr::getFromRawBuffer(RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type()), bytes);
  Type stored = wide ? Type(b.getF64Type()) : Type(b.getF32Type());
  Value made = onnx::WeightOp::create(b, infer.op->getLoc(), infer.dim().tensor(dims, stored), infer.type(), data);
  if (stored == element)
    return made;
  return infer.make("CastLike", 19, {made, infer.input(0)});
}

static LogicalResult checkSignal(Infer &infer, int64_t parts) {
  if (!isFloat(infer.element(0)))
    return infer.error("takes a signal of floats");
  if (parts != 1 && parts != 2)
    return infer.unsupported("a signal whose numbers are not known to have one or two parts");
  return success();
}

static LogicalResult checkSize(Infer &infer, const Transform &t) {
  if (t.length < 1 || t.taken < 1)
    return infer.error("transforms nothing");
  // Each factor is below the bound before it is multiplied with the next.
  if (t.length > maxCoefficients || t.given * t.results * t.parts * t.taken > maxCoefficients)
    return infer.unsupported("a transform of " + Twine(t.length) +
                             " positions; split it, or compute it outside of the model");
  return success();
}

static FailureOr<int64_t> axisOf(Infer &infer) {
  int64_t axis = infer.version() < 20 ? infer.intAttr("axis", 1) : -2;
  if (infer.version() >= 20 && infer.has(2)) {
    auto given = infer.constantOperand(2, "axis");
    if (failed(given))
      return failure();
    if (given->size() != 1)
      return infer.error("takes one axis");
    axis = given->front();
  }
  auto result = infer.axis(axis, infer.rank(0));
  if (succeeded(result) && *result == infer.rank(0) - 1)
    return infer.error("cannot transform the axis of the parts");
  return result;
}

static LogicalResult inferDft(Infer &infer) {
  Dimensions &d = infer.dim();
  if (infer.inputs() < 1 || !infer.has(0) || infer.rank(0) < 2)
    return infer.error("takes a signal of at least 2 dimensions");
  auto axis = axisOf(infer);
  SmallVector<Dim> dims = infer.dims(0);
  Transform t;
  t.parts = constantOf(dims.back()).value_or(0);
  t.inverse = infer.intAttr("inverse", 0), t.half = infer.intAttr("onesided", 0);
  if (failed(axis) || failed(checkSignal(infer, t.parts)))
    return failure();
  if (t.inverse && !t.half)
    return infer.unsupported(
        "the inverse transform of a whole spectrum; use the half of it (onesided) of a real signal");
  auto length = constantOf(dims[*axis]);
  if (!length)
    return infer.unsupported("a signal whose length is known only when the model runs; make it a constant");
  t.length = t.half && t.inverse ? 2 * (*length - 1) : *length;
  if (infer.has(1)) {
    auto given = infer.constantOperand(1, "dft_length");
    if (failed(given))
      return failure();
    if (given->size() != 1)
      return infer.error("takes one dft_length");
    t.length = given->front();
  }
  if (t.half && t.parts != (t.inverse ? 2 : 1))
    return infer.error("takes half of a spectrum of complex numbers, or gives that of real ones");
  t.results = t.half && t.inverse ? 1 : 2;
  t.given = t.half && !t.inverse ? t.length / 2 + 1 : t.length;
  t.taken = std::min(*length, t.half && t.inverse ? t.length / 2 + 1 : t.length);
  if (failed(checkSize(infer, t)))
    return failure();
  auto weights = filters(infer, t, {}, infer.element(0));
  if (failed(weights))
    return failure();
  Value signal = infer.input(0);
  if (t.taken < *length)
    signal = infer.slice(signal, *axis, d.constant(0), d.constant(t.taken));
  // The axis goes behind the others and the parts.
  int64_t rank = infer.rank(0);
  SmallVector<int64_t> last, back(rank);
  SmallVector<Dim> others;
  for (int64_t i = 0; i + 1 < rank; ++i)
    if (i != *axis)
      last.push_back(i), others.push_back(dims[i]);
  last.append({rank - 1, *axis});
  for (int64_t i = 0; i < rank; ++i)
    back[i] = i == rank - 1 ? rank - 1 : i == *axis ? rank - 2 : i < *axis ? i : i - 1;
  auto turned = infer.make("Transpose", 13, {signal}, infer.attribute("perm", last));
  if (failed(turned))
    return failure();
  signal = infer.reshape(*turned, {d.product(others), d.constant(t.parts), d.constant(t.taken)});
  auto spectrum = infer.make("Conv", 11, {signal, *weights});
  if (failed(spectrum))
    return failure();
  others.append({d.constant(t.given), d.constant(t.results)});
  auto result = infer.make("Transpose", 13, {infer.reshape(*spectrum, others)}, infer.attribute("perm", back));
  if (failed(result))
    return failure();
  infer.replace(0, *result);
  return success();
}

static LogicalResult inferStft(Infer &infer) {
  Dimensions &d = infer.dim();
  if (infer.inputs() < 2 || !infer.has(0) || !infer.has(1) || (infer.rank(0) != 2 && infer.rank(0) != 3))
    return infer.error("takes a signal (batch, length, parts) and a step");
  SmallVector<Dim> dims = infer.dims(0);
  Transform t;
  t.parts = dims.size() == 2 ? 1 : constantOf(dims[2]).value_or(0);
  t.half = infer.intAttr("onesided", 1);
  if (failed(checkSignal(infer, t.parts)))
    return failure();
  auto step = infer.constantOperand(1, "frame_step");
  if (failed(step))
    return failure();
  if (step->size() != 1 || step->front() < 1)
    return infer.error("takes one positive frame_step");
  if (t.half && t.parts != 1)
    return infer.error("gives half of the spectrum of real signals only");
  if (infer.has(2) && infer.rank(2) != 1)
    return infer.error("takes a window of 1 dimension");
  auto length = constantOf(infer.has(2) ? infer.dims(2)[0] : dims[1]);
  if (infer.has(3)) {
    auto given = infer.constantOperand(3, "frame_length");
    if (failed(given))
      return failure();
    if (given->size() != 1)
      return infer.error("takes one frame_length");
    length = given->front();
    if (infer.has(2))
      infer.requireEqual(infer.dims(2)[0], d.constant(*length));
  }
  if (!length)
    return infer.unsupported("frames whose length is known only when the model runs; make frame_length a constant");
  t.length = t.taken = *length;
  t.given = t.half ? *length / 2 + 1 : *length, t.results = 2;
  if (failed(checkSize(infer, t)))
    return failure();
  auto window = infer.constant(2);
  auto numbers = window ? window->numbers(t.length) : std::nullopt;
  if (numbers && int64_t(numbers->size()) != t.length)
    return infer.error("has a window that is not as long as a frame");
  auto weights = filters(infer, t, numbers.value_or(SmallVector<double>()), infer.element(0));
  if (succeeded(weights) && infer.has(2) && !numbers)
    weights = infer.make("Mul", 14, {*weights, infer.input(2)});
  if (failed(weights))
    return failure();
  Value signal = infer.input(0);
  if (t.parts == 1) {
    signal = infer.reshape(signal, {dims[0], d.constant(1), dims[1]});
  } else {
    auto turned = infer.make("Transpose", 13, {signal}, infer.attribute("perm", {0, 2, 1}));
    if (failed(turned))
      return failure();
    signal = *turned;
  }
  auto spectra = infer.make("Conv", 11, {signal, *weights}, infer.attribute("strides", *step));
  if (failed(spectra))
    return failure();
  Dim frames = dimsOf(spectra->getType())[2];
  Value apart = infer.reshape(*spectra, {dims[0], d.constant(t.given), d.constant(2), frames});
  auto result = infer.make("Transpose", 13, {apart}, infer.attribute("perm", {0, 3, 1, 2}));
  if (failed(result))
    return failure();
  infer.replace(0, infer.checked(*result));
  return success();
}

void qcc::registerFourier(OperatorRegistry &registry) {
  registry.add("", "DFT", inferDft, nullptr);
  registry.add("", "STFT", inferStft, nullptr);
}
