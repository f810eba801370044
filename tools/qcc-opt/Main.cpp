// qcc-opt: mlir-opt with qcc's dialects and passes.
#include "dialects/onnx/Onnx.h"
#include "dialects/qnt/Qnt.h"
#include "dialects/tile/Tile.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "qcc/Canonicalize/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<qcc::onnx::OnnxDialect, qcc::qnt::QntDialect, qcc::tile::TileDialect, mlir::arith::ArithDialect,
                  mlir::func::FuncDialect, mlir::LLVM::LLVMDialect, mlir::math::MathDialect, mlir::scf::SCFDialect,
                  mlir::vector::VectorDialect>();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  qcc::registerCanonicalizePasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "qcc-opt: mlir-opt with qcc's dialects\n", registry));
}
