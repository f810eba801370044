// A PTX text, parsed and decoded: its kernels and its variables.
#ifndef QCC_PTXEMU_MODULE_H
#define QCC_PTXEMU_MODULE_H

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace qcc::ptxemu {

// What a module is compiled for: sm_90 is {9, 0, none}, sm_100a is {10, 0, 'a'}, sm_120f is {12, 0, 'f'}.
struct Architecture {
  unsigned major = 0, minor = 0;
  char suffix = 0;

  // False if `text` is not sm_ with two or three digits and at most one of a and f behind them.
  static bool parse(std::string_view text, Architecture &result);
  std::string spell() const;
  // Whether a device of this architecture (whose suffix does not count) runs a module that is compiled for `target`: a
  // plain target on everything at least as new, `a` on exactly that device, `f` within its major number.
  bool runs(const Architecture &target) const;
};

// A kernel's parameter in the block of bytes that a launch passes.
struct Parameter {
  uint32_t offset = 0, size = 0, alignment = 1;
};

struct KernelInfo {
  std::string name;
  std::vector<Parameter> parameters;
  uint32_t parameterBytes = 0;
  uint32_t requiredBlock[3] = {0, 0, 0};   // .reqntid; zeros if there is none
  uint32_t maximumBlock[3] = {0, 0, 0};    // .maxntid; zeros if there is none
  uint32_t requiredCluster[3] = {0, 0, 0}; // .reqnctapercluster; zeros if there is none
  uint32_t sharedBytes = 0;                // static, without the dynamic part
  uint32_t localBytes = 0;                 // for each thread
  uint32_t registers = 0;                  // names in the text, which is not what hardware would allocate
};

struct GlobalInfo {
  std::string name;
  uint64_t size = 0, alignment = 1;
  bool isConstant = false;
};

struct Program; // decoded code; private to the library

class Module {
public:
  // Null if the text is not PTX that the emulator understands; `error` then names the line and what is not understood.
  // Every modifier counts: an instruction with one that is unknown is an error.
  static std::shared_ptr<const Module> parse(std::string_view ptx, std::string &error);
  ~Module();

  const Architecture &target() const;
  const std::vector<KernelInfo> &kernels() const;
  const KernelInfo *kernel(std::string_view name) const; // null if there is none
  const std::vector<GlobalInfo> &globals() const;

  const Program &program() const { return *code; }

private:
  Module();
  std::unique_ptr<Program> code;
};

} // namespace qcc::ptxemu

#endif // QCC_PTXEMU_MODULE_H
