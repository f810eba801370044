#include "qcc/CodeCache/CodeCache.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace qcc;

static constexpr uint64_t mostBytes = uint64_t(1) << 30; // of a folder
static constexpr StringLiteral magic = "qcc code 1\n";

static std::string hashOf(ArrayRef<StringRef> pieces) {
  llvm::BLAKE3 hasher;
  for (StringRef piece : pieces) {
    uint64_t size = piece.size();
    hasher.update(ArrayRef(reinterpret_cast<const uint8_t *>(&size), sizeof size));
    hasher.update(piece);
  }
  return llvm::toHex(hasher.final<32>(), /*LowerCase=*/true);
}

std::string CodeCache::keyOf(ModuleOp tiled, const TargetFacts &target) {
  std::string text;
  llvm::raw_string_ostream os(text);
  tiled->print(os);
  std::string facts = target.name + "\n" + target.triple + "\n" + target.cpu;
  for (const std::string &feature : target.features)
    facts += "\n" + feature;
  if (target.device)
    facts += "\n" + target.device->architecture + " " + std::to_string(target.device->ptx);
  static const std::string identity = compilerIdentity();
  return hashOf({identity, facts, text});
}

std::string CodeCache::pathOf(StringRef key) const {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, "llvmcache-" + key); // the names among which LLVM's pruning chooses
  return path.str().str();
}

/// The file's bytes after its hash: what `parse` reads.
static std::string contentOf(const GeneratedCode &code) {
  std::string content;
  StringRef object(code.object.data(), code.object.size()), device(code.deviceCode.data(), code.deviceCode.size());
  for (StringRef piece : {object, device, StringRef(code.slots)}) {
    uint64_t size = piece.size();
    content.append(reinterpret_cast<const char *>(&size), sizeof size);
    content += piece;
  }
  return content;
}

static std::optional<GeneratedCode> parse(StringRef bytes, StringRef key) {
  if (!bytes.consume_front(magic))
    return std::nullopt;
  StringRef hash = bytes.take_front(64), content = bytes.drop_front(hash.size());
  if (hash != hashOf({key, content}))
    return std::nullopt;
  auto next = [&] {
    uint64_t size;
    memcpy(&size, content.data(), sizeof size);
    StringRef piece = content.substr(sizeof size, size);
    content = content.drop_front(sizeof size + size);
    return piece;
  };
  GeneratedCode code;
  StringRef object = next(), device = next();
  code.object.assign(object.begin(), object.end());
  code.deviceCode.assign(device.begin(), device.end());
  code.slots = next().str();
  return code;
}

const GeneratedCode *CodeCache::find(StringRef key, Location loc) {
  if (auto it = known.find(key); it != known.end())
    return &it->second;
  if (folder.empty())
    return nullptr;
  std::string path = pathOf(key);
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return nullptr;
  if (auto code = parse((*file)->getBuffer(), key))
    return &(known[key] = std::move(*code));
  emitWarning(loc) << "is compiled anew: '" << path << "' is damaged";
  return nullptr;
}

void CodeCache::add(StringRef key, GeneratedCode code, Location loc) {
  const GeneratedCode &kept = known[key] = std::move(code);
  if (folder.empty())
    return;
  auto failed = [&](const llvm::Twine &why) { emitWarning(loc) << "code is not kept for another time: " << why; };
  if (auto error = llvm::sys::fs::create_directories(folder))
    return failed("cannot make the folder '" + folder + "': " + error.message());
  std::string content = contentOf(kept), hash = hashOf({key, content});
  llvm::Error error = llvm::writeToOutput(pathOf(key), [&](llvm::raw_ostream &os) {
    os << magic << hash << content;
    return llvm::Error::success();
  });
  if (error)
    return failed(llvm::toString(std::move(error)));
  llvm::CachePruningPolicy policy;
  policy.Expiration = std::chrono::seconds(0);
  policy.MaxSizeBytes = mostBytes;
  llvm::pruneCache(folder, policy);
}
