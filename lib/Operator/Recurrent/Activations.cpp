#include "Activations.h"

using namespace mlir;
using namespace qcc;

namespace {
struct Function {
  StringRef name;
  bool hasAlpha, hasBeta;
  double alpha, beta; // where the node does not say them
  Real (*apply)(const Real &x, double alpha, double beta);
};
} // namespace

static const Function functions[] = {
    {"Affine", true, true, 1, 0, [](const Real &x, double alpha, double beta) { return x * alpha + beta; }},
    {"Elu", true, false, 1, 0,
     [](const Real &x, double alpha, double) { return select(x < 0.0, expm1(x) * alpha, x); }},
    {"HardSigmoid", true, true, 0.2, 0.5,
     [](const Real &x, double alpha, double beta) { return maximum(minimum(x * alpha + beta, 1.0), 0.0); }},
    {"LeakyRelu", true, false, 0.01, 0,
     [](const Real &x, double alpha, double) { return select(x < 0.0, x * alpha, x); }},
    {"Relu", false, false, 0, 0, [](const Real &x, double, double) { return maximum(x, 0.0); }},
    {"ScaledTanh", true, true, 1, 1, [](const Real &x, double alpha, double beta) { return tanh(x * beta) * alpha; }},
    {"Sigmoid", false, false, 0, 0, [](const Real &x, double, double) { return 1.0 / (1.0 + exp(-x)); }},
    {"Softplus", false, false, 0, 0,
     [](const Real &x, double, double) { return maximum(x, 0.0) + log1p(exp(-abs(x))); }},
    {"Softsign", false, false, 0, 0, [](const Real &x, double, double) { return x / (abs(x) + 1.0); }},
    {"Tanh", false, false, 0, 0, [](const Real &x, double, double) { return tanh(x); }},
    {"ThresholdedRelu", true, false, 1, 0,
     [](const Real &x, double alpha, double) { return select(x < alpha, x.like(0.0), x); }},
};

static const Function *find(StringRef name) {
  const auto *found = llvm::find_if(functions, [&](const Function &f) { return f.name.equals_insensitive(name); });
  return found == std::end(functions) ? nullptr : found;
}

Real RecurrentActivation::operator()(const Real &x) const { return find(name)->apply(x, alpha, beta); }

FailureOr<SmallVector<RecurrentActivation>> qcc::activationsOf(const Node &node, int64_t directions,
                                                               ArrayRef<StringRef> defaults) {
  SmallVector<StringRef> names;
  if (auto given = node.stringsAttr("activations"); given && !given->empty())
    names = *given;
  else
    for (int64_t i = 0; i < directions; ++i)
      llvm::append_range(names, defaults);
  if (int64_t(names.size()) != directions * int64_t(defaults.size()))
    return node.error("has " + Twine(names.size()) + " activations for " + Twine(directions) + " directions of " +
                      Twine(defaults.size()) + " each");
  SmallVector<double> alphas = node.floatsAttr("activation_alpha").value_or(SmallVector<double>()),
                      betas = node.floatsAttr("activation_beta").value_or(SmallVector<double>());
  size_t alpha = 0, beta = 0;
  SmallVector<RecurrentActivation> result;
  for (StringRef name : names) {
    const Function *f = find(name);
    if (!f)
      return node.error("has the unknown activation '" + name + "'");
    result.push_back({f->name, f->hasAlpha && alpha < alphas.size() ? alphas[alpha++] : f->alpha,
                      f->hasBeta && beta < betas.size() ? betas[beta++] : f->beta});
  }
  return result;
}
