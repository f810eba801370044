#include "qcc/Calibration/Methods.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

ArrayRef<MethodRow> qcc::allMethods() {
  static const MethodRow rows[] = {
      {"rtn", "Rounds every weight to nearest", true, false},
      {"importance", "Scales that weigh each column's error by the mean square of its input", true, true},
      {"hqq", "Zeros and scales that spare most weights at the cost of few; formats with zeros", true, false},
      {"gptq", "Later columns make up for the errors of earlier ones, along the inputs' covariance", true, true},
      {"signround", "Rounds up or down by the signs of gradients of the output's error", true, true},
      {"awq", "Scales inputs so that channels of large activations are rounded finer; searched for", false, true},
      {"smoothquant", "Moves the range of outlying input channels into the weights", false, true},
      {"equalization", "Of convolutions in a row: gives the channels between them weights of equal ranges", false,
       false, true},
      {"bias-correction", "Of convolutions in int8: biases make up for what rounding moves the means by", false, true,
       true},
  };
  return rows;
}

llvm::Expected<Method> Method::parse(StringRef text) {
  Method method;
  for (StringRef step : llvm::split(text, '+')) {
    StringRef name = step.split('=').first, number = step.split('=').second;
    if (step.contains('=')) {
      double alpha = 0;
      if (name != "smoothquant")
        return llvm::createStringError("'" + step + "': only smoothquant takes a number, its alpha");
      if (number.getAsDouble(alpha) || !(alpha >= 0 && alpha <= 1))
        return llvm::createStringError("'" + step + "': alpha is a number from 0 to 1");
      method.givenAlpha = alpha;
    }
    const MethodRow *row = llvm::find_if(allMethods(), [&](const MethodRow &r) { return r.name == name; });
    if (row == allMethods().end()) {
      std::string names;
      for (const MethodRow &known : allMethods())
        names += (names.empty() ? "" : ", ") + known.name.str();
      return llvm::createStringError("there is no method '" + name + "'; there are " + names +
                                     ", and sums of them such as awq+gptq");
    }
    if (!method.rows.empty() && method.rows.back()->rounds)
      return llvm::createStringError("'" + method.rows.back()->name + "' rounds: no step can follow it in '" + text +
                                     "'");
    method.rows.push_back(row);
  }
  if (!method.rows.back()->rounds)
    method.rows.push_back(&allMethods().front());
  return method;
}

bool Method::needsData() const {
  return llvm::any_of(rows, [](const MethodRow *row) { return row->needsData; });
}

bool Method::isTrivial() const { return rows.size() == 1 && rows.front()->name == "rtn"; }

bool Method::changes(const Format &format) const {
  // Smoothing is a change of the program that float32 weights can have too; what depends on rounding is not for them.
  return format.element->bits() < 32
             ? !isTrivial()
             : llvm::any_of(rows, [](const MethodRow *row) { return row->name == "smoothquant"; });
}

bool Method::has(StringRef step) const {
  return llvm::any_of(rows, [&](const MethodRow *row) { return row->name == step; });
}

Method Method::ofLinears() const {
  Method method = *this;
  llvm::erase_if(method.rows, [](const MethodRow *row) { return row->ofConvolutions; });
  return method;
}

std::string Method::name() const {
  std::string text, alphaText = givenAlpha ? llvm::formatv("={0}", llvm::format("%g", *givenAlpha)).str() : "";
  for (const MethodRow *row : rows)
    if (rows.size() == 1 || row->name != "rtn")
      text += (text.empty() ? "" : "+") + row->name.str() + (row->name == "smoothquant" ? alphaText : "");
  return text;
}
