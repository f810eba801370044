#include "qcc/CodeCache/CodeCache.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include <link.h>

/// The build ID in an object's notes; empty where it has none.
static llvm::StringRef buildId(const dl_phdr_info &object) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const auto &header = object.dlpi_phdr[i];
    if (header.p_type != PT_NOTE)
      continue;
    const char *at = reinterpret_cast<const char *>(object.dlpi_addr + header.p_vaddr), *end = at + header.p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      const auto *note = reinterpret_cast<const ElfW(Nhdr) *>(at);
      const char *name = at + sizeof *note, *description = name + llvm::alignTo<4>(note->n_namesz);
      if (note->n_type == NT_GNU_BUILD_ID && llvm::StringRef(name, note->n_namesz) == llvm::StringRef("GNU", 4))
        return {description, note->n_descsz};
      at = description + llvm::alignTo<4>(note->n_descsz);
    }
  }
  return {};
}

std::string qcc::compilerIdentity() {
  llvm::BLAKE3 hasher;
  auto add = [](dl_phdr_info *object, size_t, void *into) {
    auto &hasher = *static_cast<llvm::BLAKE3 *>(into);
    if (llvm::StringRef id = buildId(*object); !id.empty()) {
      hasher.update(id);
      return 0;
    }
    // Without one, a file is told by its size and its time.
    std::string path = object->dlpi_name;
    if (path.empty())
      path = llvm::sys::fs::getMainExecutable(nullptr, reinterpret_cast<void *>(&buildId));
    llvm::sys::fs::file_status status;
    if (!llvm::sys::fs::status(path, status))
      path += " " + std::to_string(status.getSize()) + " " +
              std::to_string(status.getLastModificationTime().time_since_epoch().count());
    hasher.update(path);
    return 0;
  };
  dl_iterate_phdr(add, &hasher);
  return llvm::toHex(hasher.final<32>(), /*LowerCase=*/true);
}
