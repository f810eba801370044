#include "qcc/Ptxemu/Module.h"
#include "Decode/Program.h"
#include "Syntax/Lexer.h"

namespace qcc::ptxemu {

bool Architecture::parse(std::string_view text, Architecture &result) {
  if (text.substr(0, 3) != "sm_")
    return false;
  text.remove_prefix(3);
  Architecture parsed;
  if (!text.empty() && (text.back() == 'a' || text.back() == 'f')) {
    parsed.suffix = text.back();
    text.remove_suffix(1);
  }
  if (text.size() < 2 || text.size() > 3)
    return false;
  unsigned number = 0;
  for (char digit : text) {
    if (digit < '0' || digit > '9')
      return false;
    number = number * 10 + static_cast<unsigned>(digit - '0');
  }
  parsed.major = number / 10;
  parsed.minor = number % 10;
  result = parsed;
  return true;
}

std::string Architecture::spell() const {
  std::string text = "sm_" + std::to_string(major * 10 + minor);
  if (suffix)
    text += suffix;
  return text;
}

bool Architecture::runs(const Architecture &target) const {
  if (target.suffix == 'a')
    return major == target.major && minor == target.minor;
  if (target.suffix == 'f')
    return major == target.major && minor >= target.minor;
  return major > target.major || (major == target.major && minor >= target.minor);
}

Module::Module() = default;
Module::~Module() = default;

std::shared_ptr<const Module> Module::parse(std::string_view ptx, std::string &error) {
  std::shared_ptr<Module> module(new Module);
  try {
    module->code = decodeProgram(ptx);
  } catch (const SyntaxError &what) {
    error = "PTX line " + std::to_string(what.line) + ": " + what.what();
    return nullptr;
  }
  return module;
}

const Architecture &Module::target() const { return code->target; }
const std::vector<KernelInfo> &Module::kernels() const { return code->kernels; }
const std::vector<GlobalInfo> &Module::globals() const { return code->globals; }

const KernelInfo *Module::kernel(std::string_view name) const {
  for (const KernelInfo &each : code->kernels)
    if (each.name == name)
      return &each;
  return nullptr;
}

} // namespace qcc::ptxemu
