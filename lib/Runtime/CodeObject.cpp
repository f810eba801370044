#include "CodeObject.h"
#include "CpuFeatures.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace qcc {
namespace {

#if defined(__x86_64__)
constexpr uint16_t hostMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t hostMachine = EM_AARCH64;
#else
#error "the runtime knows x86-64 and AArch64"
#endif

// Empty when the machine can run the target, else what is missing.
std::string missing(const ArtifactReader &artifact, const Manifest::Target &target) {
  Part code = artifact.part(target.entry);
  Elf64_Ehdr header;
  if (code.size < sizeof(header))
    return "its code is too short";
  std::memcpy(&header, code.data, sizeof(header));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_type != ET_DYN)
    return "its code is not a 64-bit ELF shared object";
  if (header.e_machine != hostMachine)
    return "another processor architecture";
  for (const std::string &feature : target.features)
    if (!cpuSupports(feature))
      return feature;
  return {};
}

// dlopen wants a file of its own: an anonymous one. It stays open as long as the library: dlopen takes equal names for
// the same library, and a closed descriptor's number is soon the name of another.
void *loadLibrary(Part code, int &file, std::string &why) {
  file = ::memfd_create("qcc-code", MFD_CLOEXEC);
  if (file < 0) {
    why = std::string("memfd_create: ") + std::strerror(errno);
    return nullptr;
  }
  size_t written = 0;
  while (written < code.size) {
    ssize_t done = ::write(file, code.data + written, std::min(code.size - written, size_t(1) << 30));
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      break;
    written += done;
  }
  void *library = nullptr;
  if (written < code.size) {
    why = std::string("cannot copy the code: ") + std::strerror(errno);
  } else {
    library = ::dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library)
      why = ::dlerror();
  }
  return library;
}

// Empty when the table of a device's kernels can be used, else what is wrong with it.
std::string defect(const qcc_device_program *program) {
  if (!program)
    return "it does not define " QCC_DEVICE_SYMBOL;
  if (program->abi_version != QCC_ABI_VERSION)
    return "the ABI version of its kernels is " + std::to_string(program->abi_version) + ", this runtime's is " +
           std::to_string(QCC_ABI_VERSION);
  constexpr int64_t mostKernels = 1 << 16, mostBytes = 1 << 24, mostThreads = 1024, mostBlocks = 16;
  if (program->kernel_count < 0 || program->kernel_count > mostKernels || !program->kernels)
    return "its table of kernels has " + std::to_string(program->kernel_count) + " entries";
  auto isWithin = [](int64_t value, int64_t least, int64_t most) { return value >= least && value <= most; };
  for (int64_t k = 0; k < program->kernel_count; ++k) {
    const qcc_device_kernel &kernel = program->kernels[k];
    if (!kernel.name || !isWithin(kernel.threads, 1, mostThreads) || !isWithin(kernel.shared_bytes, 0, mostBytes) ||
        !isWithin(kernel.cluster, 1, mostBlocks))
      return "entry " + std::to_string(k) + " of its table of kernels is out of range";
  }
  return {};
}

} // namespace

std::unique_ptr<CodeObject> CodeObject::load(const ArtifactReader &artifact, const std::string &wanted,
                                             const Lacks &lacks, Error &error) {
  const Manifest &manifest = artifact.manifest();
  const Manifest::Target *chosen = nullptr;
  std::string seen;
  for (const Manifest::Target &target : manifest.targets) {
    if (!wanted.empty() && target.name != wanted) {
      seen += (seen.empty() ? "" : ", ") + target.name;
      continue;
    }
    std::string lacking = lacks(target);
    if (lacking.empty())
      lacking = missing(artifact, target);
    if (lacking.empty()) {
      chosen = &target;
      break;
    }
    seen += (seen.empty() ? "" : ", ") + target.name + " (not here: " + lacking + ")";
  }
  if (!chosen) {
    error.set(QCC1_TARGET, (wanted.empty() ? "no code for this machine" : "no code for target '" + wanted + "'") +
                               "; the artifact has " + (seen.empty() ? "none" : seen));
    return nullptr;
  }

  auto fail = [&](const std::string &why) {
    error.set(QCC1_TARGET, "the code for '" + chosen->name + "' cannot be used: " + why);
    return nullptr;
  };
  std::unique_ptr<CodeObject> object(new CodeObject);
  object->chosen = chosen;
  std::string why;
  object->library = loadLibrary(artifact.part(chosen->entry), object->file, why);
  if (!object->library)
    return fail(why);
  object->entry = static_cast<const qcc_program *>(::dlsym(object->library, QCC_PROGRAM_SYMBOL));
  if (!object->entry)
    return fail("it does not define " QCC_PROGRAM_SYMBOL);
  const qcc_program &program = *object->entry;
  if (program.abi_version != QCC_ABI_VERSION)
    return fail("its ABI version is " + std::to_string(program.abi_version) + ", this runtime's is " +
                std::to_string(QCC_ABI_VERSION));
  auto is = [](int64_t count, size_t wantedCount) { return count == static_cast<int64_t>(wantedCount); };
  if (!is(program.inputs, manifest.inputs.size()) || !is(program.outputs, manifest.outputs.size()) ||
      !is(program.states, manifest.states.size()))
    return fail("its inputs, outputs or states are not the manifest's");
  if (program.table_length < 1 + program.states || program.table_length > QCC_MAX_TABLE_LENGTH)
    return fail("its table has " + std::to_string(program.table_length) + " entries");
  if (!program.plan || !program.run)
    return fail("it has no plan or run function");
  if (chosen->isForDevice()) {
    object->deviceEntry = static_cast<const qcc_device_program *>(::dlsym(object->library, QCC_DEVICE_SYMBOL));
    if (std::string wrong = defect(object->deviceEntry); !wrong.empty())
      return fail(wrong);
  }
  return object;
}

CodeObject::~CodeObject() {
  if (library)
    ::dlclose(library);
  if (file >= 0)
    ::close(file);
}

} // namespace qcc
