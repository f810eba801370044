#include "qcc/Artifact/Manifest.h"

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <set>

namespace qcc {
namespace {

using Json = nlohmann::ordered_json;

// Free JSON is printed recursively, so its depth is bounded before anything is parsed.
constexpr int maxDepth = 64;
constexpr size_t maxRank = 64;

bool tooDeep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > maxDepth)
        return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

Json toJson(const std::vector<Manifest::Dim> &dims) {
  Json array = Json::array();
  for (const Manifest::Dim &dim : dims)
    array.push_back(dim.isStatic() ? Json(dim.size) : Json(dim.symbol));
  return array;
}

Json freeJson(const std::string &text) {
  if (text.empty() || tooDeep(text))
    return Json();
  Json parsed = Json::parse(text, nullptr, false);
  return parsed.is_discarded() ? Json() : parsed;
}

std::string dump(const Json &json, int indent) {
  // Node names come from models, which hold any bytes.
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Reads fields of a JSON object; the first thing that is not as it must be stands in `error`, with its place.
class Fields {
public:
  Fields(const Json &json, std::string place, std::string &error) : json(json), place(std::move(place)), error(error) {
    if (!json.is_object())
      fail("", "an object");
  }

  std::string string(const char *key) {
    const Json *value = find(key, [](const Json &v) { return v.is_string(); }, "a string");
    return value ? value->get<std::string>() : std::string();
  }
  int64_t size(const char *key) {
    const Json *value = find(key, isSize, "an integer from 0 to 2^62");
    return value ? value->get<int64_t>() : 0;
  }
  bool boolean(const char *key) {
    const Json *value = find(key, [](const Json &v) { return v.is_boolean(); }, "true or false");
    return value && value->get<bool>();
  }
  DataType type(const char *key) {
    std::string spelled = string(key);
    std::optional<DataType> parsed = parseDataType(spelled);
    if (!parsed)
      fail(key, "an element type");
    return parsed.value_or(DataType::F32);
  }
  std::vector<Manifest::Dim> dims(const char *key) {
    std::vector<Manifest::Dim> result;
    each(key, [&](const Json &v, const std::string &at) {
      if (isSize(v))
        result.emplace_back(v.get<int64_t>());
      else if (v.is_string())
        result.emplace_back(v.get<std::string>());
      else
        failAt(at, "a size or a symbol");
    });
    if (result.size() > maxRank)
      fail(key, "at most 64 dimensions");
    return result;
  }
  std::vector<int64_t> sizes(const char *key) {
    std::vector<int64_t> result;
    each(key, [&](const Json &v, const std::string &at) {
      if (isSize(v))
        result.push_back(v.get<int64_t>());
      else
        failAt(at, "a size");
    });
    return result;
  }
  std::vector<std::string> strings(const char *key) {
    std::vector<std::string> result;
    each(key, [&](const Json &v, const std::string &at) {
      if (v.is_string())
        result.push_back(v.get<std::string>());
      else
        failAt(at, "a string");
    });
    return result;
  }
  std::string freeText(const char *key) {
    auto it = json.is_object() ? json.find(key) : json.end();
    return it == json.end() || it->is_null() ? std::string() : dump(*it, -1);
  }
  // Calls body(element, its place) for each element of the array `key`.
  template <typename Body> void each(const char *key, Body body) {
    const Json *value = find(key, [](const Json &v) { return v.is_array(); }, "an array");
    if (!value)
      return;
    size_t index = 0;
    for (const Json &element : *value)
      body(element, place + key + "[" + std::to_string(index++) + "]");
  }
  void fail(const char *key, const char *wanted) { failAt(place + key, wanted); }
  void failAt(const std::string &at, const char *wanted) {
    if (error.empty())
      error = "manifest: '" + at + "' is not " + wanted;
  }

private:
  static bool isSize(const Json &v) {
    return v.is_number_integer() && !(v.is_number_unsigned() && v.get<uint64_t>() > (uint64_t(1) << 62)) &&
           v.get<int64_t>() >= 0;
  }
  template <typename Test> const Json *find(const char *key, Test test, const char *wanted) {
    if (!json.is_object())
      return nullptr;
    auto it = json.find(key);
    if (it == json.end() || !test(*it)) {
      fail(key, wanted);
      return nullptr;
    }
    return &*it;
  }

  const Json &json;
  std::string place;
  std::string &error;
};

Manifest::Target::Device readDevice(const Json &json, const std::string &place, std::string &error) {
  Fields fields(json, place, error);
  Manifest::Target::Device device;
  device.kind = fields.string("kind");
  if (device.kind != "cuda")
    fields.fail("kind", "a kind of device that this qcc knows (cuda)");
  fields.each("modules", [&](const Json &v, const std::string &at) {
    Fields f(v, at + ".", error);
    device.modules.push_back({f.string("architecture"), f.string("kind"), f.string("entry")});
    const std::string &kind = device.modules.back().kind;
    if (kind != "ptx" && kind != "cubin")
      f.fail("kind", "ptx or cubin");
  });
  return device;
}

} // namespace

const Manifest::Entry *Manifest::findEntry(std::string_view name) const {
  for (const Entry &entry : entries)
    if (entry.name == name)
      return &entry;
  return nullptr;
}

std::string Manifest::toJson() const {
  Json json;
  json["artifact_version"] = currentVersion;
  json["qcc_version"] = qccVersion;
  json["model"] = {{"name", modelName}, {"sha256", modelHash}};
  json["targets"] = Json::array();
  for (const Target &target : targets) {
    Json entry = {{"name", target.name}, {"features", target.features}, {"entry", target.entry}};
    if (target.isForDevice()) {
      entry["device"] = {{"kind", target.device.kind}, {"modules", Json::array()}};
      for (const Target::Module &module : target.device.modules)
        entry["device"]["modules"].push_back(
            {{"architecture", module.architecture}, {"kind", module.kind}, {"entry", module.entry}});
    }
    json["targets"].push_back(std::move(entry));
  }
  auto addValues = [&](const char *key, const std::vector<Value> &values) {
    json[key] = Json::array();
    for (const Value &value : values)
      json[key].push_back(
          {{"name", value.name}, {"dtype", std::string(name(value.type))}, {"dims", qcc::toJson(value.dims)}});
  };
  addValues("inputs", inputs);
  addValues("outputs", outputs);
  json["states"] = Json::array();
  for (const State &state : states)
    json["states"].push_back({{"input", state.input},
                              {"output", state.output},
                              {"dtype", std::string(name(state.type))},
                              {"dims", qcc::toJson(state.dims)},
                              {"axis", state.axis},
                              {"format", state.format}});
  json["tensors"] = Json::array();
  for (const Tensor &tensor : tensors)
    json["tensors"].push_back({{"name", tensor.name},
                               {"format", tensor.format},
                               {"layout", tensor.layout},
                               {"shape", tensor.shape},
                               {"offset", tensor.offset},
                               {"bytes", tensor.bytes},
                               {"streamed", tensor.streamed}});
  json["plan"] = freeJson(plan);
  json["quality"] = freeJson(quality);
  json["provenance"] = freeJson(provenance);
  json["nodes"] = nodes;
  json["entries"] = Json::array();
  for (const Entry &entry : entries)
    json["entries"].push_back({{"name", entry.name}, {"bytes", entry.bytes}, {"sha256", entry.sha256}});
  return dump(json, 1) + "\n";
}

std::optional<Manifest> Manifest::parse(std::string_view text, std::string &error) {
  error.clear();
  if (tooDeep(text)) {
    error = "manifest: nested deeper than 64";
    return std::nullopt;
  }
  Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) {
    error = "manifest: not JSON";
    return std::nullopt;
  }
  Manifest manifest;
  Fields fields(json, "", error);
  if (fields.size("artifact_version") != currentVersion && error.empty())
    error = "manifest: artifact version " + std::to_string(fields.size("artifact_version")) +
            " is not the one this qcc reads (" + std::to_string(currentVersion) + ")";
  if (!error.empty())
    return std::nullopt;
  manifest.qccVersion = fields.string("qcc_version");
  static const Json noModel = Json::object();
  auto model = json.find("model");
  Fields modelFields(model == json.end() ? noModel : *model, "model.", error);
  manifest.modelName = modelFields.string("name");
  manifest.modelHash = modelFields.string("sha256");
  fields.each("targets", [&](const Json &v, const std::string &at) {
    Fields f(v, at + ".", error);
    manifest.targets.push_back({f.string("name"), f.strings("features"), f.string("entry")});
    if (v.is_object() && v.contains("device"))
      manifest.targets.back().device = readDevice(v["device"], at + ".device.", error);
  });
  std::set<std::string> inputNames, outputNames;
  auto readValues = [&](const char *key, std::vector<Value> &values, std::set<std::string> &names) {
    fields.each(key, [&](const Json &v, const std::string &at) {
      Fields f(v, at + ".", error);
      values.push_back({f.string("name"), f.type("dtype"), f.dims("dims")});
      if (!names.insert(values.back().name).second)
        f.fail("name", "a name of its own");
    });
  };
  readValues("inputs", manifest.inputs, inputNames);
  readValues("outputs", manifest.outputs, outputNames);
  fields.each("states", [&](const Json &v, const std::string &at) {
    Fields f(v, at + ".", error);
    State state{f.string("input"), f.string("output"), f.type("dtype"), f.dims("dims"), f.size("axis"), {}};
    if (v.contains("format")) // files of older versions have none
      state.format = f.string("format");
    if (state.axis >= static_cast<int64_t>(state.dims.size()))
      f.fail("axis", "one of the dimensions");
    if (!inputNames.insert(state.input).second || !outputNames.insert(state.output).second)
      f.failAt(at, "a state with names of its own");
    manifest.states.push_back(std::move(state));
  });
  fields.each("tensors", [&](const Json &v, const std::string &at) {
    Fields f(v, at + ".", error);
    manifest.tensors.push_back({f.string("name"), f.string("format"), f.string("layout"), f.sizes("shape"),
                                f.size("offset"), f.size("bytes"), f.boolean("streamed")});
  });
  manifest.plan = fields.freeText("plan");
  manifest.quality = fields.freeText("quality");
  manifest.provenance = fields.freeText("provenance");
  manifest.nodes = fields.strings("nodes");
  std::set<std::string> entryNames;
  fields.each("entries", [&](const Json &v, const std::string &at) {
    Fields f(v, at + ".", error);
    manifest.entries.push_back({f.string("name"), f.size("bytes"), f.string("sha256")});
    if (!entryNames.insert(manifest.entries.back().name).second)
      f.fail("name", "a name of its own");
  });
  if (!error.empty())
    return std::nullopt;
  return manifest;
}

std::optional<int64_t> tensorBytes(DataType type, const int64_t *dims, size_t rank) {
  int64_t bytes = byteSize(type);
  bool empty = false;
  for (size_t i = 0; i < rank; ++i) {
    if (dims[i] < 0)
      return std::nullopt;
    empty |= dims[i] == 0;
  }
  if (empty)
    return 0;
  for (size_t i = 0; i < rank; ++i)
    if (__builtin_mul_overflow(bytes, dims[i], &bytes) || bytes >= int64_t(1) << 62)
      return std::nullopt;
  return bytes;
}

} // namespace qcc
