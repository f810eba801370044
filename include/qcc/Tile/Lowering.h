// From nodes to launches: the program under construction.
#pragma once

#include "dialects/tile/Tile.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Kernel.h"
#include "qcc/Tile/Numbers.h"

namespace qcc {

struct RowLayout;

/// How fast a GPU is; 0 where nobody says.
struct DeviceRates {
  int64_t multiprocessors = 0;
  double gigahertz = 0;
  // Of a multiprocessor in a cycle.
  double memoryBytes = 0, cacheBytes = 0, sharedBytes = 0;
  double productBytes = 0; // multiply-adds of 8-bit numbers; of wider ones, their bytes
};

/// What the kernels of a GPU may use.
struct DeviceFacts {
  std::string architecture; // "sm_90a": with an 'a', code is for it alone; with an 'f', for its family
  int capability = 0;       // 10 * major + minor
  unsigned ptx = 0;         // version of the language, 10 * major + minor
  int64_t sharedBytes = 0;  // the most that a block may have
  DeviceRates rates;
  bool isSpecific() const { return architecture.back() == 'a'; }
};

/// What kernels are generated for.
struct TargetFacts {
  std::string name;                  // of the code object, e.g. "x86-64-v3"
  std::string triple, cpu;           // of the host
  std::vector<std::string> features; // LLVM's names without a sign
  std::optional<DeviceFacts> device; // that the host starts kernels on
  bool has(llvm::StringRef feature) const { return llvm::is_contained(features, feature); }
};

class Team;

/// How a kernel whose threads have a row together computes its elements; `take` gets each index and number once, from
/// one of the threads.
struct RowProgram {
  std::string name;
  std::function<void(Kernel &, const Team &, mlir::Value row, llvm::function_ref<void(mlir::Value, mlir::Value)> take)>
      write;
};

/// Lowers the nodes of a function one after another into the host function of the tile program. Values are tensors of
/// the source function; each that is not computed in place has storage.
class Lowering {
public:
  Lowering(mlir::ModuleOp source, mlir::ModuleOp target, Dimensions &dims, const TargetFacts &facts);

  mlir::OpBuilder host; // inserts into the host function
  Dimensions &dims;
  const TargetFacts &facts;
  mlir::ModuleOp target;
  mlir::Location loc; // of the node being lowered

  /// What is lowered.
  mlir::ModuleOp sourceModule() const { return source; }
  /// Lowers the function `main`; reports the first node that cannot be.
  mlir::LogicalResult run();

  /// The host's value of a dimension.
  mlir::Value size(Dim dim);
  /// Says the value of a runtime symbol from here on.
  void define(Dim symbol, mlir::Value value);
  /// Reads an integer of a tensor on the host, after everything that writes it.
  mlir::Value read(mlir::Value tensor, mlir::Value element);
  mlir::Value read(mlir::Value storage, mlir::Type type, int64_t element);

  /// body() on the host where its condition holds, else otherwise().
  void branch(mlir::Value condition, llvm::function_ref<void()> body, llvm::function_ref<void()> otherwise);

  /// Ends the run with an error that names the node unless the host's condition holds. Later launches may rely on it.
  void require(mlir::Value condition);
  /// The same for two lengths being equal; nothing where they are known to be.
  void requireEqual(Dim a, Dim b);

  /// The storage of a tensor: made by the lowering of its producer, a weight, an input, or allocated now for a result
  /// that is about to be computed.
  mlir::Value storage(mlir::Value tensor);
  /// Makes `tensor` share the storage of `of` (a reshape).
  void alias(mlir::Value tensor, mlir::Value of);
  /// Whether `tensor` can be a part of the storage of `of`; `alias` then makes it the part that begins at element
  /// `first`. Of a state, it is a tensor of its last dimensions.
  bool mayAlias(mlir::Value tensor, mlir::Value of) const;
  void alias(mlir::Value tensor, mlir::Value of, Dim first);
  /// The positions along `axis` that the tensor's storage has room for: more than the tensor has when it is a state.
  Dim storedLength(mlir::Value tensor, unsigned axis) const;
  /// The type of the elements that the tensor's storage holds.
  mlir::Type storedElement(mlir::Value tensor) const;
  /// The layout of the rows along the last axis in the tensor's storage; null where they are elements.
  const RowLayout *rowLayout(mlir::Value tensor) const;
  /// What an earlier lowering in this block made of `tensor` under a name (activations in a kernel's order), for others
  /// to use; null when none did.
  const llvm::SmallVector<mlir::Value> *shared(mlir::Value tensor, llvm::StringRef name) const;
  void share(mlir::Value tensor, llvm::StringRef name, llvm::ArrayRef<mlir::Value> values);
  /// Leaves the rows of `tensor` to be computed by the kernels that read whole rows, each again; it gets no storage.
  void leaveRows(mlir::Value tensor, RowProgram rows) { rowPrograms[tensor] = std::move(rows); }
  const RowProgram *rowsLeft(mlir::Value tensor) const {
    auto it = rowPrograms.find(tensor);
    return it == rowPrograms.end() ? nullptr : &it->second;
  }
  /// Whether the tensor is a state of the session, or one that shares its storage.
  bool isState(mlir::Value tensor) const { return capacities.contains(tensor); }
  /// Storage without a tensor.
  mlir::Value allocate(Dim bytes);
  mlir::Value allocate(mlir::Value bytes);
  /// Whether the tensor is computed in place by its consumer.
  bool isFused(mlir::Value tensor) const { return fused.contains(tensor); }
  /// The pointwise result that is computed from each element of `tensor` instead of storing it; null when it is stored.
  mlir::Value epilogue(mlir::Value tensor) const { return epilogues.lookup(tensor); }
  /// The tensor that is stored where `tensor` is computed: the end of its epilogues.
  mlir::Value stored(mlir::Value tensor) const;
  /// Whether every element of the tensor's fused expression reads its operands at the same element number (or a single
  /// element).
  bool isLinear(mlir::Value tensor, llvm::ArrayRef<Dim> dims) const;
  /// How many of the last axes of the tensor's expression can be walked as one: all operands are stretched along none
  /// of them or along all.
  unsigned uniformAxes(mlir::Value tensor, llvm::ArrayRef<Dim> dims) const;

  /// result[i] = value(i) for all elements of `tensor`, split among threads. `linear` promises that value uses the
  /// index only for tensors of equal dimensions. The last `innerAxes` axes are walked as one.
  void forEachElement(mlir::Value tensor, llvm::StringRef name, bool linear, int64_t cost,
                      llvm::function_ref<mlir::Value(Kernel &, const Index &)> value, unsigned innerAxes = 1);
  /// body(k, coordinates) for every element of `space`, split among threads; `cost` estimates the operations of one.
  void forEach(llvm::ArrayRef<Dim> space, llvm::StringRef name, Dim cost,
               llvm::function_ref<void(Kernel &, llvm::ArrayRef<mlir::Value>)> body);

  /// Copies all elements of a tensor into storage given.
  void copy(mlir::Value tensor, mlir::Value storage);
  /// The same for `count` elements between two pieces of storage.
  void copy(mlir::Type element, mlir::Value from, mlir::Value to, mlir::Value count);
  /// Makes finished storage that nothing writes any more the storage of a tensor, or copies it to the output that the
  /// tensor is.
  void give(mlir::Value tensor, mlir::Value finished);
  /// Lowers the nodes of a block where the host now stands; block arguments must have storage.
  mlir::LogicalResult block(mlir::Block &block);
  /// Gives a tensor (a block argument, for instance) storage made elsewhere.
  void bind(mlir::Value tensor, mlir::Value storage) { storages[tensor] = storage; }

  /// The function that holds a finished kernel: an equal one that exists, or the kernel itself under a name of its own.
  mlir::LLVM::LLVMFuncOp intern(mlir::LLVM::LLVMFuncOp kernel, llvm::StringRef name);
  /// The number by which a run-time error names the node at `loc`.
  int64_t nodeNumber(mlir::Location loc);
  /// Elements of a linear loop that make a unit: enough to hide the call, few enough to split; one where each thread of
  /// a device computes a unit.
  int64_t elementsPerUnit() const { return facts.device ? 1 : 1024; }
  llvm::ArrayRef<std::string> nodeNames() const { return nodes; }
  /// Names that have their numbers already.
  void setNodeNames(llvm::ArrayRef<std::string> names) { nodes = names.vec(); }

private:
  void chooseFusion(mlir::Block &block);
  void chooseEpilogues(mlir::Block &block);
  mlir::LogicalResult lowerNode(onnx::NodeOp node);
  /// Computes the node's results into storage.
  mlir::LogicalResult store(const Node &node);
  mlir::Value expand(Dim dim);

  mlir::ModuleOp source;
  llvm::DenseMap<mlir::Value, mlir::Value> storages;
  struct Capacity {
    unsigned axis; // that is appended to
    Dim length;
    mlir::Type element; // stored ones; null: the tensor's own
    std::shared_ptr<const RowLayout> layout;
  };
  llvm::DenseMap<mlir::Value, Capacity> capacities; // of tensors that are states
  llvm::DenseSet<mlir::Value> fused;
  llvm::DenseMap<mlir::Value, mlir::Value> epilogues;
  llvm::DenseMap<mlir::Value, llvm::StringMap<std::pair<mlir::Block *, llvm::SmallVector<mlir::Value>>>> sharedValues;
  llvm::DenseMap<mlir::Value, RowProgram> rowPrograms;
  llvm::DenseSet<mlir::Value> absorbed;          // results that are an epilogue of another one
  llvm::DenseMap<mlir::Value, unsigned> outputs; // results of main that are computed straight into the output
  llvm::DenseSet<std::pair<Dim, Dim>> required;  // lengths found equal wherever the host goes on
  llvm::DenseMap<unsigned, mlir::Value> symbols; // by position
  llvm::DenseMap<size_t, llvm::SmallVector<mlir::LLVM::LLVMFuncOp, 1>> kernels; // by their hash
  llvm::DenseMap<std::pair<mlir::Block *, Dim>, mlir::Value>
      sizes; // of known dimensions, where they were computed first
  llvm::StringMap<unsigned> kernelNames;
  std::vector<std::string> nodes;
};

} // namespace qcc
