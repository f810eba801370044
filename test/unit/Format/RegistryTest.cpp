// Names of formats, and the table that is made of them.
#include "qcc/Format/Format.h"
#include "gtest/gtest.h"

#include <fstream>
#include <iterator>
#include <set>

using namespace qcc;

namespace {

std::string errorOf(llvm::StringRef name) {
  llvm::Expected<Format> format = findFormat(name);
  if (format)
    return "";
  return llvm::toString(format.takeError());
}

TEST(Names, ofUsers) {
  for (const char *name :
       {"float32",      "float16",         "bfloat16",      "int8", "int8-tensor", "int8-g32", "int8-b128x128",
        "int4-g16",     "int4-g256",       "int4-g32-asym", "int4", "int4-asym",   "fp8",      "fp8-tensor",
        "fp8-b128x128", "fp8-e5m2",        "fp8-e5m2-g32",  "nf4",  "nf4-g64",     "nf4-g32",  "mxfp4",
        "nvfp4",        "int8-tensor-asym"}) {
    EXPECT_EQ(errorOf(name), "");
    EXPECT_EQ(llvm::cantFail(findFormat(name)).name, name);
  }
}

TEST(Names, meanWhatTheySay) {
  Format format = llvm::cantFail(findFormat("int4-g128-asym"));
  EXPECT_EQ(format.block, 128);
  EXPECT_EQ(format.blockRows, 1);
  EXPECT_TRUE(format.hasZero);
  EXPECT_EQ(format.element->name(), "uint4");
  EXPECT_EQ(format.scale->name(), "float16");
  format = llvm::cantFail(findFormat("int4-g32-f32-asym"));
  EXPECT_EQ(format.block, 32);
  EXPECT_TRUE(format.hasZero);
  EXPECT_EQ(format.scale->name(), "float32");
  format = llvm::cantFail(findFormat("fp8-b128x64"));
  EXPECT_EQ(format.blockRows, 128);
  EXPECT_EQ(format.block, 64);
  EXPECT_EQ(format.scale->name(), "float32");
  format = llvm::cantFail(findFormat("fp8-e5m2-tensor"));
  EXPECT_EQ(format.blockRows, 0);
  EXPECT_EQ(format.element->name(), "e5m2");
  format = llvm::cantFail(findFormat("nf4"));
  EXPECT_EQ(format.block, 64);
  EXPECT_EQ(format.scale->name(), "float32");
}

TEST(Names, unknownOnesNameTheNearest) {
  EXPECT_EQ(errorOf("itn8"), "format 'itn8' is not known; the nearest known one is 'int8'");
  EXPECT_EQ(errorOf("int4g32"), "format 'int4g32' is not known; the nearest known one is 'int4-g32'");
  EXPECT_EQ(errorOf("mxfp"), "format 'mxfp' is not known; the nearest known one is 'mxfp8'");
  EXPECT_NE(errorOf(""), "");
  EXPECT_NE(errorOf(std::string(1000, 'x')), "");
}

TEST(Names, wrongSuffixes) {
  EXPECT_EQ(errorOf("int4-g48"), "format 'int4-g48': a block has 16, 32, 64, 128 or 256 elements");
  EXPECT_EQ(errorOf("int4-g0"), "format 'int4-g0': a block has 16, 32, 64, 128 or 256 elements");
  EXPECT_EQ(errorOf("int4-g99999999999999999999"),
            "format 'int4-g99999999999999999999': 'int4' takes no suffix '-g99999999999999999999'");
  EXPECT_EQ(errorOf("fp8-b7x128"), "format 'fp8-b7x128': a block has 16, 32, 64, 128 or 256 rows and columns");
  EXPECT_EQ(errorOf("mxfp4-g16"), "format 'mxfp4-g16': 'mxfp4' takes no suffix '-g16'");
  EXPECT_EQ(errorOf("fp8-asym"), "format 'fp8-asym': 'fp8' takes no suffix '-asym'");
  EXPECT_EQ(errorOf("int4-asym-g32"),
            "format 'int4-asym-g32': 'int4' is followed by a block, '-f32' and '-asym', in this order");
  EXPECT_EQ(errorOf("int4-g32-g64"),
            "format 'int4-g32-g64': 'int4' is followed by a block, '-f32' and '-asym', in this order");
  for (const char *name : {"int4-f32", "int4-g32-asym-f32", "int4-g32-f32-f32", "int4-asym-asym"})
    EXPECT_EQ(errorOf(name),
              std::string("format '") + name + "': 'int4' is followed by a block, '-f32' and '-asym', in this order");
  EXPECT_EQ(errorOf("nf4-g32-f32"), "format 'nf4-g32-f32': 'nf4' takes no suffix '-f32'");
  EXPECT_EQ(errorOf("int4-"), "format 'int4-': 'int4' takes no suffix '-'");
}

TEST(Registry, rowsAreFoundUnderTheirNames) {
  std::set<std::string> names;
  for (const Format &format : allFormats()) {
    EXPECT_TRUE(names.insert(format.name).second) << format.name;
    EXPECT_TRUE(format.element && format.scale) << format.name;
    EXPECT_FALSE(format.sentence.empty()) << format.name;
    EXPECT_EQ(llvm::cantFail(findFormat(format.name)).bytes(7, 100), format.bytes(7, 100));
  }
  for (const char *name : {"int8", "int4-g32", "fp8", "nf4", "mxfp4", "nvfp4"})
    EXPECT_TRUE(names.count(name)) << name;
}

TEST(Registry, computeTypes) {
  EXPECT_EQ(defaultComputeType(llvm::cantFail(findFormat("int4-g32-asym"))), "int8");
  EXPECT_EQ(defaultComputeType(llvm::cantFail(findFormat("nvfp4"))), "int8");
  EXPECT_EQ(defaultComputeType(llvm::cantFail(findFormat("nf4"))), "int8");
  EXPECT_EQ(defaultComputeType(llvm::cantFail(findFormat("fp8"))), "float32");
  EXPECT_EQ(defaultComputeType(llvm::cantFail(findFormat("float16"))), "float32");
}

TEST(Registry, documentHoldsTheTable) {
  std::ifstream file(FORMATS_PAGE);
  std::string page((std::istreambuf_iterator<char>(file)), {});
  EXPECT_NE(page.find(formatTable()), std::string::npos)
      << "docs/formats.md is to hold what qcc --print-formats prints:\n"
      << formatTable();
}

} // namespace
