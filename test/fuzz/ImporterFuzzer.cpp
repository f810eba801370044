// libFuzzer target: whatever bytes come, importing them as a model, inferring its shapes, raising its operators and
// tiling them ends with a module or a diagnostic. Mutations keep to the structure of protobuf most of the time; seeds
// are small models, such as those of ONNX's own node tests.
#include "dialects/qnt/Qnt.h"
#include "dialects/tile/Tile.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "qcc/Canonicalize/Canonicalize.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Import/Import.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Pipeline/Compilation.h"
#include <fstream>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;
using namespace qcc;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

static LogicalResult raise(ModuleOp module) {
  removeIdentities(module);
  mergeEqual(module);
  foldBatchNormalization(module);
  multiplyCodes(module);
  raiseActivation(module);
  raiseNormalization(module);
  raiseRotary(module);
  raiseAttention(module);
  return recognizeStates(module);
}

static std::string lastDiagnostic;

/// Ends the process where qcc broke a promise.
static void require(bool holds, const char *promise) {
  if (holds)
    return;
  llvm::errs() << "broken: " << promise << "; the last diagnostic: " << lastDiagnostic << "\n";
  __builtin_trap();
}

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  google::protobuf::SetLogHandler(nullptr); // of what is no UTF-8
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int file = memfd_create("model.onnx", MFD_CLOEXEC);
  require(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == ssize_t(size), "a file can be written");
  MLIRContext context(MLIRContext::Threading::DISABLED);
  initializeCodegen(context);
  context.loadDialect<qnt::QntDialect, tile::TileDialect>();
  bool reported = false;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    reported |= diagnostic.getSeverity() == DiagnosticSeverity::Error;
    lastDiagnostic = diagnostic.str();
    return success();
  });
  ImportOptions options;
  options.isKnown = [](StringRef domain, StringRef type, int64_t) {
    return OperatorRegistry::get().find(domain, type) != nullptr;
  };
  OwningOpRef<ModuleOp> module = importModel("/proc/self/fd/" + std::to_string(file), context, options);
  require(bool(module) != reported, "the importer gives a module or an error");
  if (!module)
    return 0;
  require(succeeded(verify(*module)), "what is imported can be verified");
  bool isInferred = succeeded(checkOperators(*module)) && succeeded(inferShapes(*module));
  require(isInferred != reported, "a model without types is an error, and nothing else is");
  if (!isInferred)
    return 0;
  require(succeeded(verify(*module)), "what has types can be verified");
  require(succeeded(raise(*module)) != reported, "raising succeeds, or is an error");
  if (reported)
    return 0;
  require(succeeded(verify(*module)), "what is raised can be verified");
  CompileOptions compile;
  compile.targets = {"x86-64-v2"};
  Compilation compilation(context, compile);
  compilation.module = std::move(module);
  require(succeeded(runStages(compilation, "canonical", "tiled")) != reported, "tiling succeeds, or is an error");
  if (reported)
    return 0;
  require(succeeded(verify(*compilation.module)), "what is packed can be verified");
  require(succeeded(verify(*compilation.code.front().module)), "what is tiled can be verified");
  return 0;
}

namespace {
/// Changes one field of a message, or of one below it.
class Mutator {
public:
  explicit Mutator(unsigned seed) : random(seed) {}

  void mutate(Message &root) {
    std::vector<Message *> messages;
    collect(root, messages);
    Message &message = *messages[random() % messages.size()];
    const FieldDescriptor *field = message.GetDescriptor()->field(random() % message.GetDescriptor()->field_count());
    const Reflection &reflection = *message.GetReflection();
    if (field->is_repeated())
      mutateList(message, reflection, field, messages);
    else if (random() % 5 == 0)
      reflection.ClearField(&message, field);
    else
      set(message, reflection, field, messages);
  }

private:
  void collect(Message &message, std::vector<Message *> &found) {
    found.push_back(&message);
    const Reflection &reflection = *message.GetReflection();
    std::vector<const FieldDescriptor *> fields;
    reflection.ListFields(message, &fields);
    for (const FieldDescriptor *field : fields) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
        continue;
      if (!field->is_repeated())
        collect(*reflection.MutableMessage(&message, field), found);
      else
        for (int i = 0; i < reflection.FieldSize(message, field); ++i)
          collect(*reflection.MutableRepeatedMessage(&message, field, i), found);
    }
  }

  int64_t number() {
    constexpr int64_t interesting[] = {0, 1, 2, 3, 4, 7, 8, 16, 255, 1 << 20, INT32_MAX, int64_t(1) << 40, INT64_MAX};
    int64_t value = interesting[random() % std::size(interesting)];
    return random() % 3 ? value : -value;
  }

  /// A name that stands somewhere in the model, or a piece of one.
  std::string text(const std::vector<Message *> &messages) {
    for (int attempt = 0; attempt < 20; ++attempt) {
      Message &message = *messages[random() % messages.size()];
      const Reflection &reflection = *message.GetReflection();
      std::vector<const FieldDescriptor *> fields;
      reflection.ListFields(message, &fields);
      if (fields.empty())
        continue;
      const FieldDescriptor *field = fields[random() % fields.size()];
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING)
        continue;
      std::string value = field->is_repeated()
                              ? reflection.GetRepeatedString(
                                    message, field, int(random() % unsigned(reflection.FieldSize(message, field))))
                              : reflection.GetString(message, field);
      return random() % 8 ? value : value.substr(0, random() % (value.size() + 1));
    }
    return "";
  }

  void set(Message &message, const Reflection &reflection, const FieldDescriptor *field,
           const std::vector<Message *> &messages) {
    switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(&message, field, int32_t(random() % 2 ? random() % 30 : number()));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(&message, field, number());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetFloat(&message, field, float(number()));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnumValue(&message, field, int(random() % 12));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(&message, field, text(messages));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      reflection.MutableMessage(&message, field);
      return;
    default:
      return;
    }
  }

  void mutateList(Message &message, const Reflection &reflection, const FieldDescriptor *field,
                  const std::vector<Message *> &messages) {
    int size = reflection.FieldSize(message, field);
    if (size && random() % 3 == 0)
      return reflection.RemoveLast(&message, field);
    if (size > 1 && random() % 3 == 0)
      return reflection.SwapElements(&message, field, int(random() % unsigned(size)), int(random() % unsigned(size)));
    switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.AddInt64(&message, field, number());
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.AddInt32(&message, field, int32_t(number()));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.AddFloat(&message, field, float(number()));
    case FieldDescriptor::CPPTYPE_STRING:
      if (size && random() % 2)
        return reflection.SetRepeatedString(&message, field, int(random() % unsigned(size)), text(messages));
      return reflection.AddString(&message, field, text(messages));
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      // A copy of one like it that stands anywhere in the model; else an empty one. Copied first: adding may move it.
      Message &model = *messages[random() % messages.size()];
      std::unique_ptr<Message> copy(model.New());
      copy->CopyFrom(model);
      Message *made = reflection.AddMessage(&message, field);
      if (copy->GetDescriptor() == made->GetDescriptor())
        made->CopyFrom(*copy);
      return;
    }
    default:
      return;
    }
  }

  std::minstd_rand random;
};

/// An empty model that knows its fields, which qcc's own reader of models does not: ONNX's schema asks for code
/// without.
const Message &emptyModel() {
  static google::protobuf::DescriptorPool pool;
  static google::protobuf::DynamicMessageFactory factory;
  google::protobuf::FileDescriptorSet schema;
  std::ifstream file(QCC_ONNX_SCHEMA, std::ios::binary);
  if (!schema.ParseFromIstream(&file) || schema.file_size() != 1)
    __builtin_trap();
  return *factory.GetPrototype(pool.BuildFile(schema.file(0))->FindMessageTypeByName("ModelProto"));
}
} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  static const Message &empty = emptyModel();
  std::unique_ptr<Message> model(empty.New());
  if (seed % 8 == 0 || !model->ParseFromArray(data, int(size)))
    return LLVMFuzzerMutate(data, size, maxSize);
  Mutator mutator(seed);
  for (unsigned step = 0; step <= seed % 4; ++step)
    mutator.mutate(*model);
  std::string bytes = model->SerializeAsString();
  if (bytes.size() > maxSize)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
