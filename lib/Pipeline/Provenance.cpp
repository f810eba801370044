#include "Provenance.h"
#include "qcc/Artifact/Sha256.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace qcc;

static constexpr llvm::StringLiteral filesAttr = "onnx.files", nameField = "name", hashField = "sha256";

LogicalResult qcc::recordFiles(Compilation &c) {
  Builder b(&c.context);
  SmallVector<Attribute> files;
  for (const std::string &path : c.filesRead) {
    auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!buffer)
      return emitError(UnknownLoc::get(&c.context)) << "cannot read '" << path << "': " << buffer.getError().message();
    std::string hash = Sha256::of((*buffer)->getBufferStart(), (*buffer)->getBufferSize());
    files.push_back(b.getDictionaryAttr({b.getNamedAttr(nameField, b.getStringAttr(llvm::sys::path::filename(path))),
                                         b.getNamedAttr(hashField, b.getStringAttr(hash))}));
  }
  c.module.get()->setAttr(filesAttr, b.getArrayAttr(files));
  return success();
}

void qcc::describeProvenance(ModuleOp module, Manifest &manifest) {
  auto files = module->getAttrOfType<ArrayAttr>(filesAttr);
  if (!files)
    return;
  llvm::json::Array list;
  for (auto file : files.getAsRange<DictionaryAttr>()) {
    auto name = file.getAs<StringAttr>(nameField), hash = file.getAs<StringAttr>(hashField);
    if (!name || !hash)
      continue;
    if (list.empty())
      manifest.modelHash = hash.str();
    list.push_back(llvm::json::Object{{nameField, name.getValue()}, {hashField, hash.getValue()}});
  }
  llvm::raw_string_ostream(manifest.provenance) << llvm::json::Value(llvm::json::Object{{"files", std::move(list)}});
}
