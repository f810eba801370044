// Signal to noise of rounding to nearest on two distributions, against figures of an independent implementation.
#include "Matrices.h"
#include "gtest/gtest.h"

using namespace qcc;

namespace {

constexpr int64_t rows = 512, columns = 4096;

const std::vector<float> &normals() {
  static const std::vector<float> values = normalMatrix(rows, columns);
  return values;
}

const std::vector<float> &students() {
  static const std::vector<float> values = [] {
    std::mt19937_64 generator(2);
    std::student_t_distribution<float> student(5);
    std::vector<float> result(size_t(rows * columns), 0);
    for (float &value : result)
      value = student(generator);
    return result;
  }();
  return values;
}

struct Figure {
  const char *format;
  const char *element; // where the listed format has another one
  double normal, student, tolerance;
};

// int8 and int4 by rows or groups of 128 depend on the tails that a sample happens to have, and fp8-tensor's on
// nothing. Student's t with 5 degrees of freedom has so heavy tails that formats with large blocks vary by some tenths
// between samples.
constexpr Figure figures[] = {
    {"int4-g128", "", 18.61, 15.31, 0.1},     {"int4-g128-asym", "", 19.95, 17.52, 0.1},
    {"int4-g32-asym", "", 21.86, 20.65, 0.1}, {"nf4", "", 20.73, 19.61, 0.1},
    {"mxfp4", "", 18.79, 17.99, 0.1},         {"nvfp4", "", 20.44, 20.69, 0.1},
    {"mxfp4", "e2m3", 30.94, 30.33, 0.1},     {"mxfp4", "e3m2", 25.36, 25.21, 0.1},
    {"mxfp8", "", 30.64, 29.99, 0.1},         {"mxint8", "", 41.67, 40.04, 0.1},
    {"fp8", "", 31.55, 31.62, 0.1},           {"fp8-tensor", "", 31.55, 31.55, 0.1},
    {"fp8-e5m2", "", 25.56, 25.64, 0.1},      {"int8", "", 41.22, 33.78, 0.1},
    {"int8-g32", "", 45.44, 43.41, 0.1},
};

TEST(Accuracy, matchesTheTable) {
  for (const Figure &figure : figures) {
    Format format = llvm::cantFail(findFormat(figure.format));
    if (*figure.element)
      format.element = findElementCodec(figure.element);
    double normal = sqnr(normals(), decoded(format, format.encode(normals(), rows, columns)));
    double student = sqnr(students(), decoded(format, format.encode(students(), rows, columns)));
    EXPECT_NEAR(normal, figure.normal, figure.tolerance) << figure.format << " " << figure.element << " on N(0, 1)";
    EXPECT_NEAR(student, figure.student, figure.tolerance) << figure.format << " " << figure.element << " on t(5)";
  }
}

TEST(Accuracy, outliersHurtInt8AndNotFp8) {
  std::vector<float> matrix = normalMatrix(256, columns, 0.1f), others = matrix;
  for (int64_t row = 0; row < 256; ++row)
    matrix[size_t(row * columns + row * 7)] = 60;
  auto ofOthers = [&](const char *name) {
    Format format = llvm::cantFail(findFormat(name));
    std::vector<float> back = decoded(format, format.encode(matrix, 256, columns));
    for (int64_t row = 0; row < 256; ++row)
      back[size_t(row * columns + row * 7)] = others[size_t(row * columns + row * 7)];
    return sqnr(others, back);
  };
  EXPECT_NEAR(ofOthers("int8"), 0.26, 0.1);
  EXPECT_NEAR(ofOthers("fp8"), 31.55, 0.1);
  EXPECT_NEAR(ofOthers("int8-g32"), 21.41, 0.2);
  EXPECT_NEAR(ofOthers("nvfp4"), 18.94, 0.2);
}

} // namespace
