// A decoded module.
#ifndef QCC_LIB_PTXEMU_DECODE_PROGRAM_H
#define QCC_LIB_PTXEMU_DECODE_PROGRAM_H

#include "Decode/Instruction.h"
#include "Syntax/Tree.h"
#include "qcc/Ptxemu/Module.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace qcc::ptxemu {

enum class Special : uint8_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  ClusteridX,
  ClusteridY,
  ClusteridZ,
  NclusteridX,
  NclusteridY,
  NclusteridZ,
  ClusterCtaidX,
  ClusterCtaidY,
  ClusterCtaidZ,
  ClusterNctaidX,
  ClusterNctaidY,
  ClusterNctaidZ,
  ClusterCtarank,
  ClusterNctarank,
  IsExplicitCluster,
  Laneid,
  Warpid,
  Nwarpid,
  Smid,
  Nsmid,
  Gridid,
  LanemaskEq,
  LanemaskLe,
  LanemaskLt,
  LanemaskGe,
  LanemaskGt,
  TotalSmemSize,
  DynamicSmemSize,
  Zero
};

// What a slot that no instruction writes holds.
struct Fill {
  enum Kind : uint8_t { Constant, SpecialRegister, SharedAddress, DynamicSharedAddress, GlobalAddress };
  Kind kind = Constant;
  bool wide = false;
  Special special = Special::Zero;
  uint32_t slot = 0;
  uint64_t value = 0; // added to an address
  const Variable *global = nullptr;
};

// Where a parameter of a function that is called lies in its thread's memory for calls.
struct CallParameter {
  uint32_t offset = 0, size = 0;
};

struct Function {
  std::string_view name;
  bool isKernel = false, isDefined = false;
  uint32_t entry = 0, end = 0; // in the code
  // Functions that are called come first in a warp's file and share it with each kernel.
  uint32_t fileBytes = 0; // to its end
  uint32_t registerCount = 0;
  std::vector<Fill> fills;
  std::vector<CallParameter> parameters, results;
  // To the function's end, as for the file.
  uint32_t localBytes = 0, callParamBytes = 0, sharedBytes = 0;
  uint32_t dynamicSharedAlignment = 16;
  bool tracksWrites = false; // has wgmma, whose fence orders what was written before
  bool usesTensorMemory = false, hasRegisterBound = false;
  std::vector<std::string_view> registerNames; // by number; of a kernel: behind those of the functions
};

struct Program {
  std::string text;
  ModuleTree tree;
  Architecture target;
  std::vector<Instruction> code;
  std::vector<uint32_t> numbers; // of registers that instructions read and write
  std::vector<std::unique_ptr<Detail>> details;
  std::vector<Function> functions; // those that are called first, in the order in which they take the file
  std::vector<KernelInfo> kernels;
  std::vector<GlobalInfo> globals;

  const Function *function(std::string_view name) const;
  std::string textOf(const Instruction &instruction) const;
  std::string_view registerName(const Function &kernel, uint32_t number) const;
};

// Throws SyntaxError.
std::unique_ptr<Program> decodeProgram(std::string_view text);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_DECODE_PROGRAM_H
