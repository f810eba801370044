// libFuzzer target: whatever bytes come, opening them as an artifact, its parts or an .npz archive ends with a result.
#include "qcc/Artifact/Manifest.h"
#include "qcc/Artifact/Reader.h"
#include "qcc/Artifact/Zip.h"
#include "qcc/Npz/Npz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string error;
  // The hashes stop nearly every mutation in the reader, so what stands behind them is called by itself too.
  std::vector<qcc::zip::Entry> entries;
  if (qcc::zip::read(data, size, entries, error))
    for (const qcc::zip::Entry &entry : entries)
      if (entry.offset + entry.size > size)
        __builtin_trap();
  if (std::optional<qcc::Manifest> manifest = qcc::Manifest::parse({reinterpret_cast<const char *>(data), size}, error))
    if (!qcc::Manifest::parse(manifest->toJson(), error))
      __builtin_trap();
  if (std::unique_ptr<qcc::ArtifactReader> artifact = qcc::ArtifactReader::openMemory(data, size, error))
    artifact->verifyAll(error);
  std::vector<qcc::NpzArray> arrays;
  qcc::parseNpz(data, size, arrays, error);
  return 0;
}
