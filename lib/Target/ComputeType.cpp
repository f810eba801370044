// What activations are multiplied in.
#include "BlockRounding.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Target/Linear.h"

using namespace qcc;
using llvm::StringRef;

/// Whether each number of a format, scales left out, is one of e4m3.
static bool isWithinFp8(const Format &format) {
  if (format.element->name() == "e4m3")
    return true;
  const ElementCodec *fp8 = findElementCodec("e4m3");
  return format.element->bits() <= 4 && !format.hasZero &&
         llvm::all_of(format.element->values(), [&](float value) { return fp8->value(fp8->encode(value)) == value; });
}

llvm::Expected<StringRef> qcc::chooseComputeType(const Format &format, StringRef act, bool onGpus) {
  bool hasView = format.element->integerView().has_value();
  if (act == "auto") {
    if (hasView)
      return "int8";
    if (!onGpus || format.element->bits() == 32)
      return "f32";
    return isWithinFp8(format) ? "fp8" : format.hasZero ? "f32" : "bf16";
  }
  static constexpr StringRef known[] = {"f32",        "bf16",  "fp8",   "int8", "int8-static",
                                        "fp8-static", "nvfp4", "mxfp8", "mxfp4"};
  const StringRef *type = llvm::find(known, act);
  if (type == std::end(known))
    return llvm::createStringError("unknown --act=" + act + "; there are auto, " +
                                   llvm::join(llvm::ArrayRef(known), ", "));
  if (act.starts_with("int8") && !hasView)
    return llvm::createStringError("--act=" + act + ": the codes of '" + format.name +
                                   "' are no small integers; use --act=auto or --act=f32");
  if (act.starts_with("fp8") && format.element->bits() <= 16 && !isWithinFp8(format))
    return llvm::createStringError("--act=" + act + ": '" + format.name +
                                   "' has numbers that are no 8-bit floats; use --fmt=fp8, or --act=auto");
  return *type;
}

std::optional<Format> qcc::activationFormat(StringRef act, const Format &weights, int64_t outputs, int64_t inputs) {
  if (BlockRounding::of(act)) // blocks of their own
    return llvm::cantFail(findFormat(act));
  auto [type, isStatic] = act.split('-');
  if (type != "int8" && type != "fp8")
    return std::nullopt;
  Format format;
  format.name = act.str();
  format.element = findElementCodec(type == "fp8" ? "e4m3" : type);
  format.scale = findScaleCodec("float32");
  format.blockRows = isStatic.empty() ? 1 : 0;
  format.block = isStatic.empty() ? PackedLayout::of(weights, outputs, inputs).block : 0;
  return format;
}
