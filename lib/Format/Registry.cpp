#include "qcc/Format/Format.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace qcc;
using llvm::StringRef;

namespace {

/// What may follow a family's name.
enum Suffixes : unsigned {
  Fixed = 0,
  Groups = 1, // -gN: a scale for N elements of a row
  Tiles = 2,  // -tensor and -bRxC: a scale for the matrix, or for R rows of C elements
  Zeros = 4,  // -asym: a zero with each scale
  Wide = 8,   // -f32, after -gN: float32 scales, as in many ONNX models
};

struct Family {
  StringRef name;
  StringRef element;
  StringRef unsignedElement; // with a zero
  StringRef scale;           // without a suffix
  StringRef blockScale;      // with -gN
  int64_t block;             // without a suffix; 0: the row
  unsigned suffixes;
  StringRef sentence;
};

constexpr Family families[] = {
    {"float32", "float32", "", "none", "", 0, Fixed, "as in the model"},
    {"float16", "float16", "", "none", "", 0, Fixed, "IEEE half precision"},
    {"bfloat16", "bfloat16", "", "none", "", 0, Fixed, "the upper half of float32"},
    {"int8", "int8", "uint8", "float32", "float16", 0, Groups | Tiles | Zeros | Wide, "8-bit integers within +-127"},
    {"int4", "int4", "uint4", "float32", "float16", 0, Groups | Zeros | Wide,
     "4-bit integers within +-7; with a zero, 0 to 15"},
    {"int3", "int3", "uint3", "float32", "float16", 0, Groups | Zeros | Wide,
     "3-bit integers within +-3; with a zero, 0 to 7"},
    {"int2", "int2", "uint2", "float32", "float16", 0, Groups | Zeros | Wide,
     "2-bit integers within +-1; with a zero, 0 to 3"},
    {"fp8", "e4m3", "", "float32", "float32", 0, Groups | Tiles, "8-bit floats of 3 mantissa bits"},
    {"fp8-e5m2", "e5m2", "", "float32", "float32", 0, Groups | Tiles, "8-bit floats of 2 mantissa bits"},
    {"nf4", "nf4", "", "float32", "float32", 64, Groups, "16 quantiles of the normal distribution (QLoRA)"},
    {"mxint8", "int8-64ths", "", "e8m0", "", 32, Fixed, "OCP MXINT8: 64ths and a power of two"},
    {"mxfp8", "e4m3", "", "e8m0", "", 32, Fixed, "OCP MXFP8: 8-bit floats and a power of two"},
    {"mxfp4", "e2m1", "", "e8m0", "", 32, Fixed, "OCP MXFP4: 4-bit floats and a power of two"},
    {"nvfp4", "e2m1", "", "e4m3", "", 16, Fixed, "NVIDIA's 4-bit floats, their scales 8-bit floats"},
};

/// The formats that listings show and tests run over.
constexpr StringRef listed[] = {"float32",   "float16",       "bfloat16",       "int8",          "int8-tensor",
                                "int8-g32",  "int8-g32-asym", "int4",           "int4-g32",      "int4-g64",
                                "int4-g128", "int4-g32-asym", "int4-g128-asym", "int3",          "int3-g32",
                                "int3-g128", "int3-g32-asym", "int3-g128-asym", "int2-g32-asym", "int2-g128-asym",
                                "fp8",       "fp8-tensor",    "fp8-b128x128",   "fp8-e5m2",      "nf4",
                                "mxint8",    "mxfp8",         "mxfp4",          "nvfp4"};

llvm::Error refuse(const llvm::Twine &message) { return llvm::createStringError(llvm::Twine("format ") + message); }

bool isBlock(int64_t size) { return size >= 16 && size <= 256 && llvm::isPowerOf2_64(uint64_t(size)); }

/// The blocks a suffix names; whether it is one of the family's.
llvm::Error applySuffix(Format &format, const Family &family, StringRef suffix) {
  StringRef sizes = suffix.drop_front();
  if (suffix == "asym" && family.suffixes & Zeros) {
    format.hasZero = true;
    format.element = findElementCodec(family.unsignedElement);
    return llvm::Error::success();
  }
  if (suffix == "f32" && family.suffixes & Wide) {
    format.scale = findScaleCodec("float32");
    return llvm::Error::success();
  }
  if (suffix == "tensor" && family.suffixes & Tiles) {
    format.block = format.blockRows = 0;
    return llvm::Error::success();
  }
  if (suffix.starts_with("g") && family.suffixes & Groups && !sizes.getAsInteger(10, format.block)) {
    format.scale = findScaleCodec(family.blockScale);
    // 3-bit codes are packed for 32 columns at once.
    int64_t smallest = format.element->bits() == 3 ? 32 : 16;
    if (isBlock(format.block) && format.block >= smallest)
      return llvm::Error::success();
    return refuse("'" + format.name + "': a block has " + (smallest == 16 ? "16, " : "") +
                  "32, 64, 128 or 256 elements");
  }
  auto [height, width] = sizes.split('x');
  if (suffix.starts_with("b") && family.suffixes & Tiles && !height.getAsInteger(10, format.blockRows) &&
      !width.getAsInteger(10, format.block)) {
    if (isBlock(format.block) && isBlock(format.blockRows))
      return llvm::Error::success();
    return refuse("'" + format.name + "': a block has 16, 32, 64, 128 or 256 rows and columns");
  }
  return refuse("'" + format.name + "': '" + family.name + "' takes no suffix '-" + suffix + "'");
}

llvm::Error refuseUnknown(StringRef name) {
  StringRef nearest;
  unsigned distance = ~0u;
  for (StringRef known : listed)
    if (unsigned edits = name.edit_distance(known, true, distance); edits < distance) {
      nearest = known;
      distance = edits;
    }
  return refuse("'" + name + "' is not known; the nearest known one is '" + nearest + "'");
}

/// The scale and zero of a block, in words.
std::string scaleCell(const Format &format) {
  if (format.isPlain())
    return "none";
  std::string text = format.scale->name().str();
  if (format.hasZero)
    text += ", zero uint8";
  if (format.scale->tensorScaleFor() != 0)
    text += ", float32 for the matrix";
  return text;
}

std::string blockCell(const Format &format) {
  if (format.isPlain())
    return "";
  if (format.blockRows == 0)
    return "matrix";
  std::string columns = format.block ? std::to_string(format.block) : "row";
  return format.blockRows == 1 ? columns : std::to_string(format.blockRows) + "x" + columns;
}

/// Whether a target may multiply the codes as integers.
StringRef integerCell(const Format &format) {
  auto view = format.element->integerView();
  return !view || format.isPlain() ? "no" : view->isExact ? "exact" : "close";
}

} // namespace

llvm::Expected<Format> qcc::findFormat(StringRef name) {
  // The longest family name that `name` starts with: fp8-e5m2, not fp8.
  const Family *family = nullptr;
  for (const Family &row : families)
    if ((name == row.name || name.starts_with((row.name + "-").str())) &&
        (!family || row.name.size() > family->name.size()))
      family = &row;
  if (!family)
    return refuseUnknown(name);
  Format format;
  format.name = name.str();
  format.sentence = family->sentence.str();
  format.element = findElementCodec(family->element);
  format.scale = findScaleCodec(family->scale);
  format.block = family->block;
  llvm::SmallVector<StringRef, 2> suffixes;
  name.drop_front(family->name.size()).split(suffixes, '-');
  // A block, then the width of its scales, then the zero: each at most once.
  auto place = [](StringRef suffix) { return suffix == "asym" ? 2 : suffix == "f32" ? 1 : 0; };
  for (size_t i = 1; i < suffixes.size(); ++i)
    if (i > 1 ? place(suffixes[i]) <= place(suffixes[i - 1]) : place(suffixes[i]) == 1)
      return refuse("'" + name + "': '" + family->name + "' is followed by a block, '-f32' and '-asym', in this order");
  for (StringRef suffix : llvm::drop_begin(suffixes))
    if (llvm::Error error = applySuffix(format, *family, suffix))
      return std::move(error);
  return format;
}

StringRef qcc::defaultComputeType(const Format &format) { return format.element->integerView() ? "int8" : "float32"; }

llvm::ArrayRef<Format> qcc::allFormats() {
  static const std::vector<Format> formats = [] {
    std::vector<Format> result;
    for (StringRef name : listed)
      result.push_back(llvm::cantFail(findFormat(name)));
    return result;
  }();
  return formats;
}

std::string qcc::formatTable() {
  std::vector<std::vector<std::string>> rows = {
      {"format", "block", "bits per weight", "element", "scale", "integer view", "computes in", "what it is"}, {}};
  rows[1].resize(rows[0].size());
  for (const Format &format : allFormats()) {
    char bits[32];
    snprintf(bits, sizeof bits, "%.3f", format.bitsPerWeight(4096, 4096));
    rows.push_back({format.name, blockCell(format), bits, format.element->name().str(), scaleCell(format),
                    integerCell(format).str(), defaultComputeType(format).str(), format.sentence});
  }
  std::vector<size_t> widths(rows[0].size());
  for (const auto &row : rows)
    for (auto [width, cell] : llvm::zip(widths, row))
      width = std::max(width, cell.size());
  std::string table;
  for (const auto &row : rows) {
    for (auto [width, cell] : llvm::zip(widths, row))
      table += "| " + cell + std::string(width - cell.size(), &row == &rows[1] ? '-' : ' ') + " ";
    table += "|\n";
  }
  return table;
}
