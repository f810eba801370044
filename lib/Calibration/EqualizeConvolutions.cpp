#include "qcc/Calibration/EqualizeConvolutions.h"
#include "ConstantFloats.h"
#include "qcc/Algorithm/Equalization.h"
#include "qcc/Algorithm/SmoothQuant.h"
#include "qcc/Calibration/StaticConvolutions.h"
#include "qcc/Operator/Node.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

static constexpr int mostRounds = 40;
static constexpr double evenEnough = 1e-3; // of a scale from 1: then the ranges are equal
static constexpr double usualAlpha = 0.5;  // SmoothQuant's own default (arXiv 2211.10438, section 4.1)

static int64_t groupsOf(onnx::NodeOp conv) { return Node(conv).intAttr("group", 1); }

static ArrayRef<int64_t> weightShape(onnx::NodeOp conv) {
  return cast<RankedTensorType>(conv->getOperand(1).getType()).getShape();
}

SmallVector<ConvolutionPair> qcc::convolutionPairs(ModuleOp module) {
  SmallVector<onnx::NodeOp> all = constantConvolutions(module);
  SmallVector<ConvolutionPair> pairs;
  for (onnx::NodeOp second : all) {
    Value x = second->getOperand(0);
    auto relu = x.getDefiningOp<onnx::NodeOp>();
    if (relu && relu.getDomain().empty() && relu.getOpType() == "Relu" && x.hasOneUse())
      x = relu->getOperand(0);
    auto first = x.getDefiningOp<onnx::NodeOp>();
    bool sharesWeights = llvm::any_of(ArrayRef{first, second}, [](onnx::NodeOp conv) {
      return conv && llvm::any_of(conv->getOperands().drop_front(), [](Value value) { return !value.hasOneUse(); });
    });
    if (first && x.hasOneUse() && llvm::is_contained(all, first) && !sharesWeights)
      pairs.push_back({first, second, weightShape(first)[0]});
  }
  return pairs;
}

namespace {
/// The weights of the second convolution with a column for each channel that it reads.
struct ByInput {
  int64_t rows, columns;
  std::vector<int64_t> places; // in the weights, of each element

  explicit ByInput(const ConvolutionPair &pair) : columns(pair.channels) {
    auto shape = weightShape(pair.second);
    int64_t groups = groupsOf(pair.second), perGroup = shape[1], outputs = shape[0] / groups, taps = 1;
    for (int64_t length : shape.drop_front(2))
      taps *= length;
    rows = outputs * taps;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t channel = 0; channel < columns; ++channel) {
        int64_t output = channel / perGroup * outputs + row / taps;
        places.push_back((output * perGroup + channel % perGroup) * taps + row % taps);
      }
  }
};
} // namespace

void qcc::scaleBetween(const ConvolutionPair &pair, const std::vector<float> &scales) {
  onnx::NodeOp first = pair.first, second = pair.second;
  std::vector<float> weights = floatsOf(first->getOperand(1)), next = floatsOf(second->getOperand(1));
  scaleRows(weights, int64_t(weights.size()) / pair.channels, scales, /*divide=*/true);
  setFloats(first, 1, weights);
  if (Node(first).has(2)) {
    std::vector<float> bias = floatsOf(first->getOperand(2));
    scaleRows(bias, 1, scales, /*divide=*/true);
    setFloats(first, 2, bias);
  }
  ByInput order(pair);
  for (size_t i = 0; i < order.places.size(); ++i)
    next[order.places[i]] *= scales[i % scales.size()];
  setFloats(second, 1, next);
}

static std::vector<float> byInput(const ConvolutionPair &pair, const ByInput &order) {
  onnx::NodeOp second = pair.second;
  std::vector<float> weights = floatsOf(second->getOperand(1)), turned;
  for (int64_t place : order.places)
    turned.push_back(weights[place]);
  return turned;
}

void qcc::equalizePairs(ArrayRef<ConvolutionPair> pairs) {
  for (int round = 0; round < mostRounds; ++round) {
    double furthest = 0;
    for (const ConvolutionPair &pair : pairs) {
      onnx::NodeOp op = pair.first;
      std::vector<float> first = floatsOf(op->getOperand(1));
      ByInput order(pair);
      std::vector<float> second = byInput(pair, order);
      std::vector<float> scales =
          equalizationScales(MatrixView(first, pair.channels, int64_t(first.size()) / pair.channels),
                             MatrixView(second, order.rows, order.columns));
      for (float scale : scales)
        furthest = std::max(furthest, double(std::abs(std::log(scale))));
      scaleBetween(pair, scales);
    }
    if (furthest < evenEnough)
      return;
  }
}

std::vector<float> qcc::smoothingOf(const ConvolutionPair &pair, const std::vector<float> &maxInput,
                                    std::optional<double> alpha) {
  ByInput order(pair);
  std::vector<float> second = byInput(pair, order);
  bool isDepthwise = weightShape(pair.second)[1] == 1;
  std::vector<float> maxWeight = maxByColumn({MatrixView(second, order.rows, order.columns)});
  std::vector<float> scales = smoothingScales(maxInput, maxWeight, alpha.value_or(isDepthwise ? 1 : usualAlpha));
  // One factor for all changes nothing: it keeps numbers near what they were.
  double mean = 0;
  for (float scale : scales)
    mean += std::log(scale) / double(scales.size());
  for (float &scale : scales)
    scale = float(scale / std::exp(mean));
  return scales;
}
