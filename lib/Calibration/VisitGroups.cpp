#include "KeptValues.h"
#include "Segments.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace qcc;

namespace {
/// Runs the pieces of a program one after another, as far as somebody wants to see.
class Walk {
public:
  Walk(ModuleOp module, const Samples &samples, OpenModule open)
      : module(module), samples(samples), open(open), groups(linearGroups(module)), segments(module, groups) {}

  LogicalResult run(VisitGroup visit) {
    for (size_t index = 0; index < groups.size(); ++index) {
      std::optional<GroupActivations> activations;
      auto read = [&]() -> const Activations * {
        if (failed(advance(index)))
          return nullptr;
        return &activations.emplace(*this, index);
      };
      if (failed(visit(groups[index], read)))
        return failure();
      if (activations && activations->hasFailed)
        return failure();
    }
    return success();
  }

private:
  class GroupActivations : public Activations {
  public:
    GroupActivations(Walk &walk, size_t group) : walk(walk), group(group) {}
    size_t samples() const override { return walk.samples.size(); }
    MatrixView operator[](size_t sample) const override {
      int64_t columns = walk.groups[group].columns();
      auto read = walk.kept.get(walk.groups[group].x, sample);
      if (!read) {
        emitError(walk.module.getLoc()) << llvm::toString(read.takeError());
        hasFailed = true;
        return MatrixView(nullptr, 0, columns);
      }
      array = std::move(*read);
      int64_t rows = int64_t(array.bytes.size() / sizeof(float)) / std::max<int64_t>(1, columns);
      return MatrixView(reinterpret_cast<const float *>(array.bytes.data()), rows, columns);
    }
    mutable bool hasFailed = false;

  private:
    Walk &walk;
    size_t group;
    mutable NpzArray array;
  };

  /// Runs all pieces up to the one that ends before a group.
  LogicalResult advance(size_t group) {
    if (next == 0 && failed(keepInputs()))
      return failure();
    for (; next <= group; ++next) {
      auto piece = segments.take(next);
      if (failed(piece) || (!piece->outputs.empty() && failed(runPiece(*piece))))
        return failure();
      kept.prune([&](Value value) { return segments.isNeeded(value, next + 1); });
    }
    return success();
  }

  /// A group may read an input of the program as it is.
  LogicalResult keepInputs() {
    auto main = module.lookupSymbol<func::FuncOp>("main");
    for (BlockArgument argument : main.getArguments()) {
      if (llvm::none_of(groups, [&](const LinearGroup &group) { return group.x == argument; }))
        continue;
      auto name = main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "onnx.name");
      for (size_t sample = 0; sample < samples.size(); ++sample)
        for (NpzArray &array : samples[sample])
          if (name == array.name && failed(keep(argument, std::move(array))))
            return failure();
    }
    return success();
  }

  LogicalResult keep(Value value, NpzArray array) {
    if (llvm::Error error = kept.add(value, std::move(array)))
      return emitError(module.getLoc()) << llvm::toString(std::move(error));
    return success();
  }

  /// Runs a piece on every sample: what it reads is taken from what is kept, what it gives is kept.
  LogicalResult runPiece(Segments::Piece &piece) {
    Location loc = module.getLoc();
    auto program = open(std::move(piece.module));
    if (!program)
      return emitError(loc) << "the program cannot be run on the calibration data: "
                            << llvm::toString(program.takeError());
    std::vector<std::string> outputs;
    for (Value value : piece.outputs)
      outputs.push_back(segments.valueName(value));
    for (size_t sample = 0; sample < samples.size(); ++sample) {
      std::vector<NpzArray> inputs = samples[sample], results;
      for (Value value : piece.inputs) {
        auto array = kept.get(value, sample);
        if (!array)
          return emitError(loc) << llvm::toString(array.takeError());
        inputs.push_back(std::move(*array));
        inputs.back().name = segments.valueName(value);
      }
      std::string error;
      (*program)->reset();
      if (!(*program)->run(inputs, outputs, results, error))
        return emitError(loc) << "sample " << sample << " of the calibration data: " << error;
      for (auto [value, array] : llvm::zip(piece.outputs, results))
        if (failed(keep(value, std::move(array))))
          return failure();
    }
    return success();
  }

  ModuleOp module;
  const Samples &samples;
  OpenModule open;
  SmallVector<LinearGroup> groups;
  Segments segments;
  KeptValues kept;
  size_t next = 0; // the piece that is to be run
};
} // namespace

LogicalResult qcc::visitGroups(ModuleOp module, const Samples &samples, OpenModule open, VisitGroup visit) {
  return Walk(module, samples, open).run(visit);
}
