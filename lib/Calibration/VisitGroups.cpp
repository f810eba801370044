#include "Segments.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace qcc;

namespace {
/// The values of one sample that are still needed, by their values in `main`.
using Kept = llvm::DenseMap<Value, NpzArray>;

class KeptActivations : public Activations {
public:
  KeptActivations(ArrayRef<Kept> kept, Value value) {
    for (const Kept &sample : kept)
      arrays.push_back(&sample.find(value)->second);
  }
  size_t samples() const override { return arrays.size(); }
  MatrixView operator[](size_t sample) const override {
    const NpzArray &array = *arrays[sample];
    int64_t columns = array.shape.back(),
            rows = int64_t(array.bytes.size() / sizeof(float)) / std::max<int64_t>(1, columns);
    return MatrixView(reinterpret_cast<const float *>(array.bytes.data()), rows, columns);
  }

private:
  std::vector<const NpzArray *> arrays;
};

/// Runs a piece on every sample: what it reads is taken from what is kept, what it gives is kept.
LogicalResult runPiece(Program &program, const Segments::Piece &piece, Segments &segments, const Samples &samples,
                       std::vector<Kept> &kept, Location loc) {
  std::vector<std::string> outputs;
  for (Value value : piece.outputs)
    outputs.push_back(segments.valueName(value));
  for (size_t sample = 0; sample < samples.size(); ++sample) {
    std::vector<NpzArray> inputs = samples[sample], results;
    for (Value value : piece.inputs) {
      inputs.push_back(kept[sample].find(value)->second);
      inputs.back().name = segments.valueName(value);
    }
    std::string error;
    program.reset();
    if (!program.run(inputs, outputs, results, error))
      return emitError(loc) << "sample " << sample << " of the calibration data: " << error;
    for (auto [value, array] : llvm::zip(piece.outputs, results))
      kept[sample][value] = std::move(array);
  }
  return success();
}
} // namespace

LogicalResult qcc::visitGroups(ModuleOp module, const Samples &samples, OpenModule open, VisitGroup visit) {
  SmallVector<LinearGroup> groups = linearGroups(module);
  Segments segments(module, groups);
  auto main = module.lookupSymbol<func::FuncOp>("main");
  std::vector<Kept> kept(samples.size());
  // A group may read an input of the program as it is.
  for (size_t sample = 0; sample < samples.size(); ++sample) {
    std::vector<NpzArray> inputs = samples[sample];
    for (BlockArgument argument : main.getArguments())
      for (const NpzArray &array : inputs)
        if (main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "onnx.name") == array.name &&
            llvm::any_of(groups, [&](const LinearGroup &group) { return group.x == argument; }))
          kept[sample][argument] = array;
  }
  for (size_t index = 0; index < segments.size(); ++index) {
    if (index > 0 && failed(visit(groups[index - 1], KeptActivations(kept, groups[index - 1].x))))
      return failure();
    if (index + 1 == segments.size())
      return success(); // nobody reads what comes after the last group
    auto piece = segments.take(index);
    if (failed(piece))
      return failure();
    if (!piece->outputs.empty()) {
      auto program = open(std::move(piece->module));
      if (!program)
        return emitError(module.getLoc())
               << "the program cannot be run on the calibration data: " << llvm::toString(program.takeError());
      if (failed(runPiece(**program, *piece, segments, samples, kept, module.getLoc())))
        return failure();
    }
    for (Kept &sample : kept)
      for (auto it = sample.begin(); it != sample.end();) {
        auto current = it++;
        if (!segments.isNeeded(current->first, index + 1))
          sample.erase(current);
      }
  }
  return success();
}
