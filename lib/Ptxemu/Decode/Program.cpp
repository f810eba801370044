#include "Decode/Program.h"
#include "Decode/Decoder.h"

#include <algorithm>
#include <cctype>

namespace qcc::ptxemu {

const Function *Program::function(std::string_view name) const {
  auto found =
      std::find_if(functions.begin(), functions.end(), [&](const Function &each) { return each.name == name; });
  return found == functions.end() ? nullptr : &*found;
}

std::string Program::textOf(const Instruction &instruction) const {
  std::string result;
  for (char c : std::string_view(text).substr(instruction.begin, instruction.end - instruction.begin)) {
    bool isSpace = std::isspace(static_cast<unsigned char>(c));
    if (!isSpace)
      result += c;
    else if (!result.empty() && result.back() != ' ')
      result += ' ';
  }
  return result;
}

std::string_view Program::registerName(const Function &kernel, uint32_t number) const {
  uint32_t before = 0;
  for (const Function &each : functions) {
    if (each.isKernel && &each != &kernel)
      continue;
    if (number - before < each.registerNames.size())
      return each.registerNames[number - before];
    before += static_cast<uint32_t>(each.registerNames.size());
  }
  return "?";
}

namespace {

KernelInfo describe(const FunctionTree &tree, const Function &function) {
  KernelInfo info;
  info.name = tree.name;
  for (const Variable *each : tree.parameters)
    info.parameters.push_back({static_cast<uint32_t>(each->offset), static_cast<uint32_t>(each->size),
                               static_cast<uint32_t>(each->alignment)});
  info.parameterBytes = static_cast<uint32_t>(tree.parameterBytes);
  for (unsigned dim = 0; dim < 3; ++dim) {
    info.requiredBlock[dim] = tree.requiredBlock[dim];
    info.maximumBlock[dim] = tree.maximumBlock[dim];
    info.requiredCluster[dim] = tree.requiredCluster[dim];
  }
  info.sharedBytes = function.sharedBytes;
  info.localBytes = function.localBytes;
  info.registers = static_cast<uint32_t>(tree.registers.size());
  return info;
}

} // namespace

std::unique_ptr<Program> decodeProgram(std::string_view text) {
  auto program = std::make_unique<Program>();
  program->text = text;
  program->tree = parseModule(program->text);
  if (!Architecture::parse(program->tree.target, program->target))
    throw SyntaxError(1, program->tree.target.empty()
                             ? "no .target"
                             : "the target '" + std::string(program->tree.target) + "' is not understood");
  // The file of a warp: what is called first, then the kernel.
  Function previous;
  Decoder::SharedOffsets shared;
  program->functions.reserve(program->tree.functions.size());
  for (bool kernels : {false, true})
    for (FunctionTree &tree : program->tree.functions) {
      if (tree.isKernel != kernels || !tree.hasBody)
        continue;
      Function function;
      function.name = tree.name;
      function.isKernel = tree.isKernel;
      function.isDefined = true;
      function.fileBytes = previous.fileBytes;
      function.registerCount = previous.registerCount;
      function.localBytes = previous.localBytes;
      function.callParamBytes = previous.callParamBytes;
      function.sharedBytes = previous.sharedBytes;
      function.dynamicSharedAlignment = previous.dynamicSharedAlignment;
      function.tracksWrites = previous.tracksWrites;
      function.usesTensorMemory = previous.usesTensorMemory;
      function.hasRegisterBound = tree.hasRegisterBound;
      Decoder decoder(*program, tree, function, shared);
      decoder.run();
      if (!kernels) {
        previous = function;
        shared = decoder.shared();
      } else {
        program->kernels.push_back(describe(tree, function));
      }
      program->functions.push_back(std::move(function));
    }
  for (const Variable &variable : program->tree.variables)
    if (variable.space == Space::Global)
      program->globals.push_back({std::string(variable.name), variable.size, variable.alignment, variable.isConstant});
  return program;
}

} // namespace qcc::ptxemu
