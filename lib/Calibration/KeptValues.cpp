#include "KeptValues.h"
#include "llvm/Support/FileSystem.h"
#include <cerrno>
#include <cstring>
#include <unistd.h>

using namespace mlir;
using namespace qcc;

KeptValues::~KeptValues() {
  for (auto &[value, entry] : entries)
    drop(entry);
}

void KeptValues::drop(Entry &entry) {
  for (const NpzArray &array : entry.arrays)
    held -= array.bytes.size();
  if (entry.file >= 0)
    ::close(entry.file);
}

/// A file that is gone when it is closed.
static llvm::Expected<int> openUnnamedFile() {
  int file = -1;
  SmallString<128> path;
  if (auto error = llvm::sys::fs::createTemporaryFile("qcc-calibration", "bin", file, path))
    return llvm::createStringError("cannot make a temporary file: " + error.message());
  llvm::sys::fs::remove(path);
  return file;
}

llvm::Error KeptValues::add(Value value, NpzArray array) {
  Entry &entry = entries[value];
  if (entry.file < 0 && held + array.bytes.size() > inMemory) {
    auto file = openUnnamedFile();
    if (!file)
      return file.takeError();
    entry.file = *file;
  }
  entry.places.push_back({-1, array.bytes.size()});
  if (entry.file < 0) {
    held += array.bytes.size();
    entry.arrays.push_back(std::move(array));
    return llvm::Error::success();
  }
  entry.places.back().first = entry.fileBytes;
  for (size_t done = 0; done < array.bytes.size();) {
    ssize_t n = ::pwrite(entry.file, array.bytes.data() + done, array.bytes.size() - done, entry.fileBytes);
    if (n <= 0)
      return llvm::createStringError(std::string("cannot keep values in a temporary file: ") + std::strerror(errno));
    done += size_t(n), entry.fileBytes += n;
  }
  array.bytes = {};
  entry.arrays.push_back(std::move(array));
  return llvm::Error::success();
}

llvm::Expected<NpzArray> KeptValues::get(Value value, size_t sample) const {
  const Entry &entry = entries.find(value)->second;
  NpzArray array = entry.arrays[sample];
  auto [place, bytes] = entry.places[sample];
  if (place < 0)
    return array;
  array.bytes.resize(bytes);
  for (size_t done = 0; done < bytes;) {
    ssize_t n = ::pread(entry.file, array.bytes.data() + done, bytes - done, place + int64_t(done));
    if (n <= 0)
      return llvm::createStringError("cannot read values back from a temporary file");
    done += size_t(n);
  }
  return array;
}

void KeptValues::prune(llvm::function_ref<bool(Value)> isNeeded) {
  for (auto it = entries.begin(); it != entries.end();) {
    auto current = it++;
    if (isNeeded(current->first))
      continue;
    drop(current->second);
    entries.erase(current);
  }
}
