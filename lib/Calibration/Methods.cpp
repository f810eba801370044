#include "qcc/Calibration/Methods.h"
#include "methods/Steps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

ArrayRef<MethodRow> qcc::allMethods() {
  using Row = MethodRow;
  static const MethodRow rows[] = {
      {"rtn", "Rounds every weight to nearest", Row::Rounds, Row::Nothing, false, steps::roundToNearest},
      {"importance", "Scales that weigh each column's error by the mean square of its input", Row::RoundsByOwnScales,
       Row::Covariance, false, steps::importance},
      {"hqq", "Zeros and scales that spare most weights at the cost of few; formats with zeros", Row::RoundsByOwnScales,
       Row::Nothing, false, steps::hqq},
      {"gptq", "Later columns make up for the errors of earlier ones, along the inputs' covariance", Row::Rounds,
       Row::Covariance, false, steps::gptq},
      {"signround", "Rounds up or down by the signs of gradients of the output's error", Row::Rounds, Row::Covariance,
       false, steps::signRounding},
      {"clip", "Scales of blocks that lower the error of what each block adds to the output", Row::ChoosesScales,
       Row::Covariance, false, steps::clip},
      {"awq", "Scales inputs so that channels of large activations are rounded finer; searched for", Row::ScalesInput,
       Row::Covariance, false, steps::awq},
      {"smoothquant", "Moves the range of outlying input channels into the weights", Row::ScalesInput, Row::Statistics,
       true, steps::smoothQuant},
      {"equalization", "Of convolutions in a row: gives the channels between them weights of equal ranges",
       Row::OfConvolutions, Row::Nothing, false, nullptr},
      {"bias-correction", "Of convolutions in int8: biases make up for what rounding moves the means by",
       Row::OfConvolutions, Row::Statistics, false, nullptr},
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
    const MethodRow *before = method.rows.empty() ? nullptr : method.rows.back();
    if (before && before->rounds())
      return llvm::createStringError("'" + before->name + "' rounds: no step can follow it in '" + text + "'");
    if (before && before->kind == MethodRow::ChoosesScales && row->kind != MethodRow::Rounds)
      return llvm::createStringError("'" + before->name + "' chooses scales for a step that rounds with them, which '" +
                                     row->name + "' does not in '" + text + "'");
    method.rows.push_back(row);
  }
  if (!method.rows.back()->rounds())
    method.rows.push_back(&allMethods().front());
  return method;
}

MethodRow::Needs Method::needs() const {
  MethodRow::Needs most = MethodRow::Nothing;
  for (const MethodRow *row : rows)
    most = std::max(most, row->needs);
  return most;
}

bool Method::scalesInputs() const {
  return llvm::any_of(rows, [](const MethodRow *row) { return row->kind == MethodRow::ScalesInput; });
}

bool Method::isTrivial() const { return rows.size() == 1 && rows.front()->name == "rtn"; }

bool Method::changes(const Format &format) const {
  return format.element->bits() < 32 ? !isTrivial()
                                     : llvm::any_of(rows, [](const MethodRow *row) { return row->isForFloats; });
}

bool Method::has(StringRef step) const {
  return llvm::any_of(rows, [&](const MethodRow *row) { return row->name == step; });
}

Method Method::ofLinears() const {
  Method method = *this;
  llvm::erase_if(method.rows, [](const MethodRow *row) { return row->kind == MethodRow::OfConvolutions; });
  return method;
}

std::string Method::name() const {
  std::string text, alphaText = givenAlpha ? llvm::formatv("={0}", llvm::format("%g", *givenAlpha)).str() : "";
  for (const MethodRow *row : rows)
    if (rows.size() == 1 || row->name != "rtn")
      text += (text.empty() ? "" : "+") + row->name.str() + (row->name == "smoothquant" ? alphaText : "");
  return text;
}
