// ONNX protobuf to the onnx dialect.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qcc/Import/ModelFile.h"
#include "llvm/ADT/StringRef.h"
#include <functional>
#include <string>
#include <vector>

namespace qcc {

struct ImportOptions {
  /// Whether qcc has a lowering for an operator of this domain and type. One that it has none for is replaced by its
  /// function body in ONNX's schema or in the model, where there is one. Empty: nothing is replaced but calls of the
  /// model's own functions.
  std::function<bool(llvm::StringRef domain, llvm::StringRef type, int64_t version)> isKnown;
  /// Gets the path of every file that was read: the model and its external data. May be null.
  std::vector<std::string> *filesRead = nullptr;
  /// Gets the mapped files that weights stand in. May be null.
  std::vector<std::shared_ptr<MappedFile>> *mappings = nullptr;
};

/// Reads the model at `path` (a file, or a folder with model.onnx) into a module with one function `main`, whose
/// arguments and results carry the model's names as `onnx.name`. Every op's location is the name of its node. Errors
/// are reported as diagnostics that name the node; the result is then null. The module's weights keep the model's files
/// mapped.
mlir::OwningOpRef<mlir::ModuleOp> importModel(llvm::StringRef path, mlir::MLIRContext &context,
                                              const ImportOptions &options);

} // namespace qcc
