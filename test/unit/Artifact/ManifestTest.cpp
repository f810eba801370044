#include "TinyModel.h"

using namespace qcc;
using namespace qcc::test;

namespace {

TEST(Manifest, roundTrip) {
  Manifest manifest = tinyManifest();
  manifest.tensors.push_back({"scales", "f16", "blocks", {2, 3}, 64, 12, false});
  manifest.entries = {{"code/tiny.so", 5, "ab"}};
  manifest.plan = R"([{"kernel":"gemv"}])";
  manifest.nodes.push_back("bytes \xff that are no UTF-8");
  std::string error, text = manifest.toJson();
  std::optional<Manifest> back = Manifest::parse(text, error);
  ASSERT_TRUE(back) << error;
  EXPECT_EQ(back->toJson(), text);
  EXPECT_EQ(back->states[0].dims, manifest.states[0].dims);
  EXPECT_EQ(back->inputs[0].type, DataType::F32);
  EXPECT_FALSE(back->tensors[1].streamed);
  EXPECT_EQ(back->plan, manifest.plan);
  EXPECT_EQ(back->provenance, "");
  EXPECT_EQ(back->nodes[1], "/layer.0/Second");
}

Manifest deviceManifest() {
  Manifest manifest = tinyManifest();
  manifest.targets.push_back(
      {"sm_90",
       {},
       "code/sm_90.so",
       {"cuda", {{"sm_90a", "cubin", "code/sm_90a.cubin"}, {"sm_90a", "ptx", "code/sm_90a.ptx"}}}});
  return manifest;
}

TEST(Manifest, deviceModules) {
  std::string error, text = deviceManifest().toJson();
  std::optional<Manifest> back = Manifest::parse(text, error);
  ASSERT_TRUE(back) << error;
  EXPECT_EQ(back->toJson(), text);
  EXPECT_FALSE(back->targets[1].isForDevice());
  const Manifest::Target &target = back->targets[2];
  EXPECT_TRUE(target.isForDevice());
  ASSERT_EQ(target.device.modules.size(), 2u);
  EXPECT_EQ(target.device.modules[1].architecture, "sm_90a");
  EXPECT_EQ(target.device.modules[1].kind, "ptx");
  EXPECT_EQ(target.device.modules[1].entry, "code/sm_90a.ptx");
}

TEST(Manifest, everyDataTypeHasOneName) {
  for (int i = 0; i <= static_cast<int>(DataType::C128); ++i) {
    DataType type = static_cast<DataType>(i);
    EXPECT_EQ(parseDataType(name(type)), type);
    EXPECT_EQ(fromDlpack(dlpackCode(type), static_cast<uint8_t>(bits(type)), 1), type);
  }
  EXPECT_EQ(parseDataType("f33"), std::nullopt);
}

TEST(Manifest, contradictionsAreNamed) {
  struct Case {
    const char *from, *to, *says;
  };
  const Case cases[] = {
      {"\"artifact_version\": 1", "\"artifact_version\": 2", "version 2"},
      {"\"artifact_version\": 1", "\"artifact_version\": \"1\"", "'artifact_version'"},
      {"\"dtype\": \"i64\"", "\"dtype\": \"i65\"", "'inputs[1].dtype' is not an element type"},
      {"\"axis\": 1", "\"axis\": 3", "'states[0].axis' is not one of the dimensions"},
      {"\"axis\": 1", "\"axis\": -1", "'states[0].axis'"},
      {"\"name\": \"mode\"", "\"name\": \"x\"", "'inputs[1].name' is not a name of its own"},
      {"\"input\": \"past\"", "\"input\": \"x\"", "names of its own"},
      {"\"bytes\": 16", "\"bytes\": -16", "'tensors[0].bytes'"},
      {"\"bytes\": 16", "\"bytes\": 99999999999999999999", "'tensors[0].bytes'"},
      {"\"bytes\": 16", "\"bytes\": 18446744073709551615", "'tensors[0].bytes'"},
      {"\"bytes\": 16", "\"bytes\": 1.5", "'tensors[0].bytes'"},
      {"\"nodes\"", "\"knots\"", "'nodes' is not an array"},
      {"\"model\": {", "\"model\": 7, \"other\": {", "'model.'"},
      {"\"targets\": [", "\"targets\": [3,", "'targets[0].'"},
      {"\"device\": {", "\"device\": 3, \"other\": {", "'targets[2].device.'"},
      {"\"kind\": \"cuda\"", "\"kind\": \"abacus\"", "'targets[2].device.kind' is not a kind of device"},
      {"\"kind\": \"ptx\"", "\"kind\": \"text\"", "'targets[2].device.modules[1].kind' is not ptx or cubin"},
      {"\"modules\"", "\"parts\"", "'targets[2].device.modules' is not an array"},
  };
  const std::string good = deviceManifest().toJson();
  for (const Case &change : cases) {
    std::string text = good, error;
    size_t at = text.find(change.from);
    ASSERT_NE(at, std::string::npos) << change.from;
    text.replace(at, std::string(change.from).size(), change.to);
    EXPECT_FALSE(Manifest::parse(text, error)) << change.to;
    EXPECT_NE(error.find(change.says), std::string::npos) << change.to << ": " << error;
  }
}

TEST(Manifest, textThatIsNone) {
  std::string error;
  for (std::string text :
       {std::string(), std::string("[]"), std::string("{"), std::string("null"), std::string(1000000, '['),
        "{\"artifact_version\":1,\"plan\":" + std::string(100, '[') + std::string(100, ']') + "}"}) {
    EXPECT_FALSE(Manifest::parse(text, error));
    EXPECT_FALSE(error.empty());
  }
  // Cut anywhere it is no manifest.
  std::string good = tinyManifest().toJson();
  for (size_t length = 0; length + 2 < good.size(); ++length)
    EXPECT_FALSE(Manifest::parse(good.substr(0, length), error)) << length;
}

TEST(Manifest, tensorBytesOverflow) {
  auto bytes = [](DataType type, std::vector<int64_t> dims) { return tensorBytes(type, dims.data(), dims.size()); };
  EXPECT_EQ(bytes(DataType::F32, {2, 3}), 24);
  EXPECT_EQ(bytes(DataType::I4, {3}), 3);
  EXPECT_EQ(bytes(DataType::F64, {}), 8);
  EXPECT_EQ(bytes(DataType::F32, {INT64_MAX, 0}), 0);
  EXPECT_EQ(bytes(DataType::F32, {-1}), std::nullopt);
  EXPECT_EQ(bytes(DataType::F32, {0, -1}), std::nullopt);
  EXPECT_EQ(bytes(DataType::U8, {int64_t(1) << 62}), std::nullopt);
  EXPECT_EQ(bytes(DataType::U8, {int64_t(1) << 40, int64_t(1) << 40}), std::nullopt);
}

} // namespace
