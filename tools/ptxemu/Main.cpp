// ptxemu: runs a kernel of a PTX file on an emulated GPU and says what hardware would punish.
#include "Arguments.h"

#include <getopt.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace {

using namespace qcc::ptxemu;

constexpr const char *usage = R"(usage: ptxemu FILE.ptx [--kernel=NAME --grid=X[,Y[,Z]] --block=X[,Y[,Z]] ARGUMENT ...]

Without a kernel: says what the file holds. Arguments, one for each parameter of the kernel:
  ptr:NAME[+BYTES]             the address of an array
  map:NAME:BOX:SWIZZLE[:TYPE]  a tensor map of an array: the box 64x128 has the innermost dimension first, the swizzle
                               is 0, 32, 64 or 128
  TYPE:VALUE                   i8 i16 i32 i64 u32 u64 f32 f64

  --in=X.npz         the arrays
  --out=Y.npz        writes the arrays as the kernel left them
  --cluster=X[,Y[,Z]]
  --shared=BYTES     dynamic shared memory
  --device=sm_NN     the emulated device; what the file is for
  --seed=N           of the order in which warps run; 1
  --seeds=N          runs with that many seeds, each from the same arrays; ends with the first findings
  --findings=N       the most to report; 16
  --limit=N          ends the kernel after so many instructions of warps
  --no-checks        without the order of shared memory
  --counts           instructions and bank conflicts
  --coverage         how often each instruction ran
  --help

Exit status: 0 nothing was found, 1 findings, 2 bad usage or a file that is not understood.
)";

struct Settings {
  std::string file, kernel, in, out, device;
  Launch launch;
  Options options;
  unsigned seeds = 1;
  bool counts = false, coverage = false;
  std::vector<std::string> arguments;
};

int fail(const std::string &what) {
  std::fprintf(stderr, "ptxemu: %s\n", what.c_str());
  return 2;
}

void parseExtent(const char *text, uint32_t (&extent)[3]) {
  char *end = const_cast<char *>(text);
  for (unsigned dim = 0; dim < 3; ++dim) {
    extent[dim] = *end ? static_cast<uint32_t>(std::strtoul(end, &end, 10)) : 1;
    end += *end == ',';
  }
}

bool parseCommandLine(int count, char **words, Settings &settings) {
  enum {
    Kernel = 256,
    Grid,
    BlockShape,
    Cluster,
    Shared,
    In,
    Out,
    DeviceName,
    Seed,
    Seeds,
    Findings,
    Limit,
    NoChecks,
    Counts,
    Coverage
  };
  const option options[] = {{"kernel", required_argument, nullptr, Kernel},
                            {"grid", required_argument, nullptr, Grid},
                            {"block", required_argument, nullptr, BlockShape},
                            {"cluster", required_argument, nullptr, Cluster},
                            {"shared", required_argument, nullptr, Shared},
                            {"in", required_argument, nullptr, In},
                            {"out", required_argument, nullptr, Out},
                            {"device", required_argument, nullptr, DeviceName},
                            {"seed", required_argument, nullptr, Seed},
                            {"seeds", required_argument, nullptr, Seeds},
                            {"findings", required_argument, nullptr, Findings},
                            {"limit", required_argument, nullptr, Limit},
                            {"no-checks", no_argument, nullptr, NoChecks},
                            {"counts", no_argument, nullptr, Counts},
                            {"coverage", no_argument, nullptr, Coverage},
                            {"help", no_argument, nullptr, 'h'},
                            {}};
  for (int choice; (choice = getopt_long(count, words, "h", options, nullptr)) != -1;)
    switch (choice) {
    case Kernel:
      settings.kernel = optarg;
      break;
    case Grid:
      parseExtent(optarg, settings.launch.grid);
      break;
    case BlockShape:
      parseExtent(optarg, settings.launch.block);
      break;
    case Cluster:
      parseExtent(optarg, settings.launch.cluster);
      break;
    case Shared:
      settings.launch.sharedBytes = static_cast<uint32_t>(std::strtoul(optarg, nullptr, 0));
      break;
    case In:
      settings.in = optarg;
      break;
    case Out:
      settings.out = optarg;
      break;
    case DeviceName:
      settings.device = optarg;
      break;
    case Seed:
      settings.options.seed = std::strtoull(optarg, nullptr, 0);
      break;
    case Seeds:
      settings.seeds = static_cast<unsigned>(std::strtoul(optarg, nullptr, 0));
      break;
    case Findings:
      settings.options.findings = static_cast<unsigned>(std::strtoul(optarg, nullptr, 0));
      break;
    case Limit:
      settings.options.instructionLimit = std::strtoull(optarg, nullptr, 0);
      break;
    case NoChecks:
      settings.options.checks = false;
      break;
    case Counts:
      settings.counts = true;
      break;
    case Coverage:
      settings.coverage = true;
      break;
    case 'h':
      std::fputs(usage, stdout);
      std::exit(0);
    default:
      return false;
    }
  if (optind == count)
    return false;
  settings.file = words[optind];
  settings.arguments.assign(words + optind + 1, words + count);
  return true;
}

int describe(const Module &module) {
  std::printf("target    %s\n", module.target().spell().c_str());
  for (const KernelInfo &kernel : module.kernels()) {
    std::printf("kernel    %s: %u bytes of shared memory, %u of local memory\n", kernel.name.c_str(),
                kernel.sharedBytes, kernel.localBytes);
    for (const Parameter &parameter : kernel.parameters)
      std::printf("  parameter of %u bytes at %u\n", parameter.size, parameter.offset);
  }
  for (const GlobalInfo &global : module.globals())
    std::printf("variable  %s: %llu bytes\n", global.name.c_str(), static_cast<unsigned long long>(global.size));
  return 0;
}

void print(const Settings &settings, const Report &report, double seconds) {
  std::fputs(report.text().c_str(), stdout);
  if (settings.counts)
    std::printf("%llu instructions of warps, %llu of threads (%.1f million per second), %llu accesses to shared memory "
                "with %llu bank conflicts\n",
                static_cast<unsigned long long>(report.counts.instructions),
                static_cast<unsigned long long>(report.counts.threadInstructions),
                static_cast<double>(report.counts.threadInstructions) / seconds / 1e6,
                static_cast<unsigned long long>(report.counts.sharedAccesses),
                static_cast<unsigned long long>(report.counts.bankConflicts));
  if (!settings.coverage)
    return;
  for (const LineCount &line : report.coverage) {
    std::printf("%6u %12llu %14llu  %s", line.line, static_cast<unsigned long long>(line.executed),
                static_cast<unsigned long long>(line.threads), line.instruction.c_str());
    if (line.bankConflicts)
      std::printf("  (%llu bank conflicts)", static_cast<unsigned long long>(line.bankConflicts));
    std::printf("\n");
  }
}

int run(Settings &settings, const std::shared_ptr<const Module> &module) {
  const KernelInfo *kernel = module->kernel(settings.kernel);
  if (!kernel)
    return fail("the file has no kernel '" + settings.kernel + "'");
  if (settings.arguments.size() > kernel->parameters.size())
    return fail("the kernel has " + std::to_string(kernel->parameters.size()) + " parameters");
  Architecture architecture = module->target();
  if (!settings.device.empty() && !Architecture::parse(settings.device, architecture))
    return fail("'" + settings.device + "' is no device");
  std::string error;
  std::vector<qcc::NpzArray> arrays;
  if (!settings.in.empty() && !qcc::readNpz(settings.in, arrays, error))
    return fail(error);
  bool isClean = true;
  for (unsigned run = 0; run < settings.seeds && isClean; ++run) {
    Device device(architecture);
    if (!device.load(module, error))
      return fail(error);
    std::vector<qcc::NpzArray> result = arrays;
    Arguments arguments(device, result);
    for (size_t index = 0; index < kernel->parameters.size(); ++index) {
      // What is not named is zero: compilers append parameters that a kernel may not use.
      std::string argument = index < settings.arguments.size() ? settings.arguments[index] : "u64:0";
      if (!arguments.add(argument, kernel->parameters[index], error))
        return fail(argument + ": " + error);
    }
    settings.launch.parameters = arguments.block().data();
    settings.launch.parameterBytes = arguments.block().size();
    auto begin = std::chrono::steady_clock::now();
    Report report = device.launch(*module, settings.kernel, settings.launch, settings.options);
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    print(settings, report, seconds.count());
    isClean = report.ok();
    ++settings.options.seed;
    arguments.download();
    if ((run + 1 == settings.seeds || !isClean) && !settings.out.empty() && !qcc::writeNpz(settings.out, result, error))
      return fail(error);
  }
  return isClean ? 0 : 1;
}

} // namespace

int main(int count, char **words) {
  Settings settings;
  if (!parseCommandLine(count, words, settings)) {
    std::fputs(usage, stderr);
    return 2;
  }
  std::ifstream file(settings.file, std::ios::binary);
  if (!file)
    return fail("'" + settings.file + "' cannot be read");
  std::string text{std::istreambuf_iterator<char>(file), {}}, error;
  std::shared_ptr<const Module> module = Module::parse(text, error);
  if (!module)
    return fail(settings.file + ": " + error);
  return settings.kernel.empty() ? describe(*module) : run(settings, module);
}
