#include "qcc/Algorithm/Gptq.h"
#include "Problems.h"
#include "qcc/Npz/Npz.h"
#include "gtest/gtest.h"

#include <cstring>

using namespace qcc;

namespace {

double roundingError(const Format &format, MatrixView weights, const std::vector<double> &covariance) {
  EncodedMatrix nearest = format.encode({weights.data, size_t(weights.size())}, weights.rows, weights.columns);
  return outputError(weights, decodeAll(format, nearest), covariance.data());
}

GptqResult solve(const Format &format, const Problem &problem, const HessianOptions &hessian = {},
                 const GptqOptions &options = {}) {
  auto factor = HessianFactor::create(problem.covariance.data(), problem.columns, hessian);
  EXPECT_TRUE(bool(factor)) << factor.reason();
  auto result = gptq(format, problem.view(), *factor, options);
  EXPECT_TRUE(bool(result)) << result.reason();
  return *result;
}

/// The paper's algorithm in float64 NumPy; goldens/make.py writes the file.
class GptqGoldens : public ::testing::Test {
protected:
  void SetUp() override {
    std::string error;
    ASSERT_TRUE(readNpz(GOLDENS, arrays, error)) << error;
    const NpzArray &x = array("activations"), &w = array("weights");
    tokens = x.shape[0], columns = x.shape[1], rows = w.shape[0];
    weights.resize(w.bytes.size() / sizeof(float));
    std::memcpy(weights.data(), w.bytes.data(), w.bytes.size());
    covariance.resize(size_t(columns * columns));
    for (int64_t token = 0; token < tokens; ++token) {
      const auto *row = reinterpret_cast<const int8_t *>(x.bytes.data()) + token * columns;
      for (int64_t i = 0; i < columns; ++i)
        for (int64_t j = 0; j < columns; ++j)
          covariance[size_t(i * columns + j)] += double(row[i]) * row[j];
    }
    for (double &value : covariance)
      value /= double(tokens);
  }
  const NpzArray &array(const std::string &name) {
    for (const NpzArray &array : arrays)
      if (array.name == name)
        return array;
    ADD_FAILURE() << "no array " << name;
    return arrays.front();
  }
  double objective(const std::string &name) {
    double value = 0;
    std::memcpy(&value, array(name).bytes.data(), sizeof(value));
    return value;
  }
  std::vector<NpzArray> arrays;
  int64_t tokens = 0, rows = 0, columns = 0;
  std::vector<float> weights;
  std::vector<double> covariance;
};

TEST_F(GptqGoldens, objectiveIsThePapers) {
  for (bool ordered : {false, true}) {
    HessianOptions options;
    options.activationOrder = ordered;
    auto factor = HessianFactor::create(covariance.data(), columns, options);
    ASSERT_TRUE(bool(factor)) << factor.reason();
    for (const char *name : {"int4-g32", "int4-g64", "int4-g128", "int4-g32-asym", "int4-g64-asym", "int4-g128-asym",
                             "int4", "int8", "int8-g32", "nf4", "mxfp4", "fp8"}) {
      Format to = format(name);
      MatrixView view(weights, rows, columns);
      auto result = gptq(to, view, *factor, {});
      ASSERT_TRUE(bool(result)) << result.reason();
      double wanted = objective(std::string(name) + (ordered ? ":ordered" : ":natural"));
      EXPECT_NEAR(result->objective / wanted, 1, 1e-6) << name << (ordered ? " ordered" : "");
      double measured = outputError(view, decodeAll(to, result->encoded), covariance.data());
      EXPECT_NEAR(result->objective / measured, 1, 1e-9) << name;
      EXPECT_LT(result->objective, roundingError(to, view, covariance)) << name;
    }
  }
}

} // namespace
