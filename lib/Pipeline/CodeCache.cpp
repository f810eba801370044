#include "CodeCache.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"

using namespace mlir;
using namespace qcc;

std::string CodeCache::keyOf(ModuleOp tiled) {
  std::string text;
  llvm::raw_string_ostream os(text);
  tiled->print(os);
  auto hash = llvm::BLAKE3::hash(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(text.data()), text.size()));
  return llvm::toHex(hash);
}
