#include "Session.h"
#include "Border.h"

#include <algorithm>
#include <new>

namespace qcc {
namespace {

std::string quoted(const std::string &name) { return "'" + name + "'"; }

// The calling thread works on the session's device as long as this lives.
class Entered {
public:
  explicit Entered(Queue *queue) : queue(queue) {
    if (queue)
      queue->enter();
  }
  ~Entered() {
    if (queue)
      queue->leave();
  }
  Entered(const Entered &) = delete;
  Entered &operator=(const Entered &) = delete;

private:
  Queue *queue;
};

} // namespace

Session::Session(std::shared_ptr<Model> givenModel, std::shared_ptr<const Placement> givenPlacement,
                 std::shared_ptr<Queue> givenQueue, const Options &options)
    : model(std::move(givenModel)), placement(std::move(givenPlacement)), queue(std::move(givenQueue)),
      memory(queue ? std::static_pointer_cast<Memory>(queue) : Memory::host()), options(options),
      pool(queue ? 1 : options.threads), arena(memory), table(placement->code->program().table_length) {
  const Manifest &manifest = model->manifest();
  for (const Manifest::State &state : manifest.states) {
    states.emplace_back(state, memory);
    stateInputs.push_back({Buffer(memory)});
  }
  for (size_t k = 0; k < manifest.inputs.size(); ++k)
    inputs.push_back({Buffer(memory)});
  for (size_t k = 0; k < manifest.outputs.size(); ++k)
    outputs.push_back({Buffer(memory)});
  outputData.resize(manifest.outputs.size());
}

std::unique_ptr<Session> Session::open(std::shared_ptr<Model> model, std::shared_ptr<const Placement> placement,
                                       const Options &options, Error &error) {
  std::shared_ptr<Queue> queue;
  if (placement->program) {
    queue = placement->program->open(error);
    if (!queue)
      return nullptr;
  }
  return std::unique_ptr<Session>(new Session(std::move(model), std::move(placement), std::move(queue), options));
}

void Session::reset() { truncate(0); }

void Session::truncate(int64_t length) {
  for (State &state : states)
    state.setLength(std::min(state.length(), length));
}

bool Session::takeInput(const std::string &name, DataType type, const std::vector<Manifest::Dim> &dims, Input &input,
                        Error &error) {
  std::string why = checkTensor(*input.tensor, type, dims, *memory);
  if (!why.empty())
    return error.set(QCC1_ARGUMENT, "input " + quoted(name) + " " + why);
  input.data = contents(*input.tensor, type, input.copy, input.staging, "a copy of input " + quoted(name), error);
  return input.data != nullptr;
}

bool Session::takeInputs(const qcc1_input *given, size_t count, Error &error) {
  const Manifest &manifest = model->manifest();
  for (Input &input : inputs)
    input.tensor = nullptr;
  for (Input &input : stateInputs)
    input.tensor = nullptr;
  for (size_t i = 0; i < count; ++i) {
    if (!given[i].name || !given[i].tensor)
      return error.set(QCC1_ARGUMENT, "an input without name or tensor");
    std::string name = given[i].name;
    Input *input = nullptr;
    for (size_t k = 0; k < inputs.size(); ++k)
      if (manifest.inputs[k].name == name)
        input = &inputs[k];
    for (size_t k = 0; k < states.size(); ++k)
      if (manifest.states[k].input == name)
        input = &stateInputs[k];
    if (!input) {
      std::string known;
      for (const Manifest::Value &value : manifest.inputs)
        known += (known.empty() ? "" : ", ") + quoted(value.name);
      return error.set(QCC1_ARGUMENT, "the model has no input " + quoted(name) + "; its inputs are " + known);
    }
    if (input->tensor)
      return error.set(QCC1_ARGUMENT, "input " + quoted(name) + " is passed twice");
    input->tensor = given[i].tensor;
  }
  // What others still write on the device must have come.
  for (size_t i = 0; i < count; ++i)
    if (!isOnHost(*given[i].tensor)) {
      memory->settle();
      break;
    }
  inputDims.clear();
  for (size_t k = 0; k < inputs.size(); ++k) {
    const Manifest::Value &value = manifest.inputs[k];
    if (!inputs[k].tensor)
      return error.set(QCC1_ARGUMENT, "input " + quoted(value.name) + " is missing");
    if (!takeInput(value.name, value.type, value.dims, inputs[k], error))
      return false;
    inputDims.insert(inputDims.end(), inputs[k].tensor->shape, inputs[k].tensor->shape + value.dims.size());
  }
  for (size_t k = 0; k < states.size(); ++k) {
    const Manifest::State &state = manifest.states[k];
    if (!stateInputs[k].tensor || takeInput(state.input, state.type, state.dims, stateInputs[k], error))
      continue;
    if (!state.format.empty() && error.code == QCC1_ARGUMENT)
      error.set(QCC1_ARGUMENT,
                error.message + "; the cache is kept in " + state.format + ", and is passed as a run gives it");
    return false;
  }
  return true;
}

bool Session::bindState(size_t index, Error &error) {
  const Manifest &manifest = model->manifest();
  const Manifest::State &description = manifest.states[index];
  State &state = states[index];
  const DLTensor *passed = stateInputs[index].tensor;
  std::vector<int64_t> dims;
  for (size_t d = 0; d < description.dims.size(); ++d) {
    const Manifest::Dim &dim = description.dims[d];
    if (static_cast<int64_t>(d) == description.axis || dim.isStatic()) {
      dims.push_back(dim.isStatic() ? dim.size : 0);
      continue;
    }
    int64_t size = -1;
    for (size_t k = 0, position = 0; k < inputs.size() && size < 0; position += manifest.inputs[k++].dims.size())
      for (size_t e = 0; e < manifest.inputs[k].dims.size(); ++e)
        if (manifest.inputs[k].dims[e] == dim)
          size = inputDims[position + e];
    if (passed && size >= 0 && passed->shape[d] != size)
      return error.set(QCC1_ARGUMENT, "input " + quoted(description.input) + " has " +
                                          std::to_string(passed->shape[d]) + " in dimension " + std::to_string(d) +
                                          " (" + dim.symbol + "), other inputs have " + std::to_string(size));
    if (size < 0 && passed)
      size = passed->shape[d];
    if (size < 0 && state.isBound())
      size = state.dims()[d];
    if (size < 0)
      return error.set(QCC1_ARGUMENT, "the size of " + quoted(dim.symbol) + " in " + quoted(description.input) +
                                          " follows from no input; pass that tensor, empty along axis " +
                                          std::to_string(description.axis));
    dims.push_back(size);
  }
  if (passed)
    state.setLength(0);
  if (state.bind(dims))
    return true;
  if (state.length() == 0)
    return error.set(QCC1_ARGUMENT, "the state " + quoted(description.input) + " would be too large");
  std::vector<int64_t> now = state.dims();
  for (size_t d = 0; d < dims.size(); ++d)
    if (static_cast<int64_t>(d) != description.axis && dims[d] != now[d])
      return error.set(QCC1_ARGUMENT, "the session's state " + quoted(description.input) + " has " +
                                          std::to_string(now[d]) + " in dimension " + std::to_string(d) +
                                          ", the inputs have " + std::to_string(dims[d]) +
                                          "; reset the session before another batch");
  return false;
}

bool Session::bindStates(Error &error) {
  for (size_t k = 0; k < states.size(); ++k)
    if (!bindState(k, error))
      return false;
  return true;
}

bool Session::loadStates(Error &error) {
  const Manifest &manifest = model->manifest();
  for (size_t k = 0; k < states.size(); ++k) {
    const Input &input = stateInputs[k];
    if (input.tensor &&
        !states[k].load(static_cast<const uint8_t *>(input.data), input.tensor->shape[manifest.states[k].axis]))
      return memory->refuse(error, "the state " + quoted(manifest.states[k].input));
  }
  return true;
}

std::string Session::describePlanError(int64_t position) const {
  const Manifest &manifest = model->manifest();
  for (size_t k = 0; k < inputs.size(); ++k) {
    const std::vector<Manifest::Dim> &dims = manifest.inputs[k].dims;
    if (position < static_cast<int64_t>(dims.size())) {
      const Manifest::Dim &dim = dims[position];
      std::string text = "input " + quoted(manifest.inputs[k].name) + ": dimension " + std::to_string(position);
      if (!dim.isStatic())
        text += " (" + dim.symbol + ")";
      return text + " is " + std::to_string(inputs[k].tensor->shape[position]) +
             ", which contradicts the other inputs, the states or the model's signature";
    }
    position -= static_cast<int64_t>(dims.size());
  }
  return "the inputs' dimensions contradict the model's signature";
}

bool Session::plan(Error &error) {
  const qcc_program &program = placement->code->program();
  bool grown = true;
  // Growing every state once is enough for a program that keeps the contract; one that does not ends here.
  for (int attempt = 0; attempt < 3 && grown; ++attempt) {
    stateDims.clear();
    for (const State &state : states) {
      stateDims.push_back(state.length());
      stateDims.push_back(state.capacity());
    }
    int64_t position = program.plan(inputDims.data(), stateDims.data(), table.data());
    if (position < 0)
      return error.set(QCC1_ARGUMENT, "the inputs' dimensions are too large");
    if (position > 0)
      return error.set(QCC1_ARGUMENT, describePlanError(position - 1));
    grown = false;
    for (size_t k = 0; k < states.size(); ++k) {
      int64_t length = table[1 + k];
      const std::string &name = model->manifest().states[k].input;
      if (length < states[k].length())
        return error.set(QCC1_RUN, "the program would shorten the state " + quoted(name));
      if (length <= states[k].capacity())
        continue;
      if (!states[k].grow(length))
        return memory->refuse(error, "the state " + quoted(name) + " of length " + std::to_string(length));
      grown = true;
    }
  }
  if (grown)
    return error.set(QCC1_RUN, "the program's plan does not settle");
  // What is in it is not needed, and devices have no room for two.
  if (table[0] > static_cast<int64_t>(arena.size()))
    arena = Buffer(memory);
  if (table[0] < 0 || !arena.reserve(table[0]))
    return memory->refuse(error, std::to_string(table[0]) + " bytes of intermediate values");
  return true;
}

bool Session::makeOutput(int64_t index, const int64_t *dims) noexcept {
  try {
    const Manifest &manifest = model->manifest();
    if (index < 0 || index >= static_cast<int64_t>(outputs.size()))
      return failure.set(QCC1_RUN, "the program made an output that the manifest does not have");
    const Manifest::Value &value = manifest.outputs[index];
    Output &output = outputs[index];
    output.dims.assign(dims, dims + value.dims.size());
    std::optional<int64_t> bytes = tensorBytes(value.type, dims, value.dims.size());
    if (!bytes || !output.storage.reserve(*bytes)) {
      std::string shape;
      for (int64_t dim : output.dims)
        shape += (shape.empty() ? "" : " x ") + std::to_string(dim);
      return memory->refuse(failure, "output " + quoted(value.name) + " of " + shape + " elements");
    }
    output.bytes = *bytes;
    output.made = true;
    outputData[index] = output.storage.data();
    return true;
  } catch (const std::bad_alloc &) {
    failure.code = QCC1_MEMORY;
    return false;
  }
}

void *Session::allocate(int64_t bytes) noexcept {
  try {
    if (canRecord()) {
      failure.set(QCC1_RUN, "the program asks for memory though it says that its runs can be recorded");
      return nullptr;
    }
    Buffer buffer(memory);
    if (bytes < 0 || !buffer.reserve(bytes)) {
      memory->refuse(failure, std::to_string(bytes) + " bytes of intermediate values");
      return nullptr;
    }
    scratch.push_back(std::move(buffer));
    return scratch.back().data();
  } catch (const std::bad_alloc &) {
    failure.code = QCC1_MEMORY;
    return nullptr;
  }
}

bool Session::execute(Error &error) {
  std::vector<const void *> inputData;
  std::vector<void *> stateData;
  for (const Input &input : inputs)
    inputData.push_back(input.data);
  for (const State &state : states)
    stateData.push_back(state.data());
  for (Output &output : outputs)
    output.made = false;
  failure = Error();

  qcc_frame frame = {};
  frame.table = table.data();
  frame.inputs = inputData.data();
  frame.outputs = outputData.data();
  frame.states = stateData.data();
  frame.weights = placement->weights;
  frame.arena = arena.data();
  frame.threads = pool.size();
  frame.runtime = this;
  frame.barrier = [](qcc_frame *frame, int64_t thread) {
    static_cast<Session *>(frame->runtime)->pool.barrier(thread);
  };
  frame.output = [](qcc_frame *frame, int64_t index, const int64_t *dims) -> void * {
    Session *session = static_cast<Session *>(frame->runtime);
    if (!session->makeOutput(index, dims))
      session->pool.abandon(0);
    return session->outputData[index];
  };
  frame.allocate = [](qcc_frame *frame, int64_t bytes) {
    Session *session = static_cast<Session *>(frame->runtime);
    void *memory = session->allocate(bytes);
    if (!memory)
      session->pool.abandon(0);
    return memory;
  };
  bool ended = queue ? runOnDevice(frame) : runUntilFailure(frame);
  scratch.clear();
  if (!ended && frame.error == 0)
    return error.set(failure.code, failure.message.empty() ? "no memory" : failure.message);
  if (frame.error != 0) {
    const std::vector<std::string> &nodes = model->manifest().nodes;
    bool known = frame.error > 0 && frame.error <= static_cast<int64_t>(nodes.size());
    std::string node = known ? nodes[frame.error - 1] : "";
    return error.set(QCC1_RUN,
                     "node " + (known ? quoted(node) : std::to_string(frame.error)) +
                         ": its inputs' values or dimensions are not what the operator allows",
                     node);
  }
  return true;
}

// False when a callback has ended it.
bool Session::runUntilFailure(qcc_frame &frame) {
  struct Call {
    void (*run)(qcc_frame *, int64_t);
    qcc_frame *frame;
  } call{placement->code->program().run, &frame};
  return pool.run(
      [](void *argument, int64_t thread) {
        Call *call = static_cast<Call *>(argument);
        call->run(call->frame, thread);
      },
      &call);
}

bool Session::findOutputs(const qcc1_output *wanted, size_t count, Error &error) {
  const Manifest &manifest = model->manifest();
  asked.clear();
  for (size_t i = 0; i < count; ++i) {
    if (!wanted[i].name)
      return error.set(QCC1_ARGUMENT, "an output without name");
    std::string name = wanted[i].name;
    size_t found = outputs.size() + states.size();
    for (size_t k = 0; k < outputs.size(); ++k)
      if (manifest.outputs[k].name == name)
        found = k;
    for (size_t k = 0; k < states.size(); ++k)
      if (manifest.states[k].output == name)
        found = outputs.size() + k;
    if (found == outputs.size() + states.size())
      return error.set(QCC1_ARGUMENT, "the model has no output " + quoted(name));
    if (std::find(asked.begin(), asked.end(), found) != asked.end())
      return error.set(QCC1_ARGUMENT, "output " + quoted(name) + " is asked for twice");
    asked.push_back(found);
  }
  return true;
}

bool Session::giveOutputs(qcc1_output *wanted, size_t count, Error &error) {
  const Manifest &manifest = model->manifest();
  // On the processor nothing need be copied; what a recorded run writes must stay where it is.
  const bool stay = !queue || options.outputsOnDevice, move = stay && !canRecord();
  std::vector<std::unique_ptr<OwnedTensor>> tensors;
  for (size_t i = 0; i < count; ++i) {
    size_t index = asked[i];
    auto tensor = std::make_unique<OwnedTensor>();
    const bool isState = index >= outputs.size();
    const size_t k = isState ? index - outputs.size() : index;
    const std::string &name = isState ? manifest.states[k].output : manifest.outputs[k].name;
    if (!isState && !outputs[k].made)
      return error.set(QCC1_RUN, "the program did not make output " + quoted(name));
    DataType type = isState ? manifest.states[k].type : manifest.outputs[k].type;
    std::vector<int64_t> dims = isState ? states[k].dims() : outputs[k].dims;
    if (!isState && move) {
      tensor->fill(type, std::move(dims), std::move(outputs[k].storage));
    } else {
      int64_t bytes = isState ? states[k].bytes() : outputs[k].bytes;
      Buffer copy(stay ? memory : Memory::host());
      if (!copy.reserve(bytes))
        return copy.memory().refuse(error, "output " + quoted(name));
      if (isState ? !states[k].read(copy.data(), stay ? Copy::Within : Copy::Out)
                  : !memory->copy(stay ? Copy::Within : Copy::Out, copy.data(), outputs[k].storage.data(), bytes))
        return memory->refuse(error, "output " + quoted(name));
      tensor->fill(type, std::move(dims), std::move(copy));
    }
    tensors.push_back(std::move(tensor));
  }
  if (!memory->wait())
    return memory->refuse(error, "the outputs");
  for (size_t i = 0; i < count; ++i)
    wanted[i].tensor = &tensors[i].release()->managed;
  return true;
}

bool Session::run(const qcc1_input *given, size_t givenCount, qcc1_output *wanted, size_t wantedCount, Error &error) {
  for (size_t i = 0; i < wantedCount; ++i)
    wanted[i].tensor = nullptr;
  Entered entered(queue.get());
  if (!findOutputs(wanted, wantedCount, error))
    return false;
  if (!takeInputs(given, givenCount, error)) {
    memory->wait(); // the caller's tensors may be on their way
    return false;
  }
  std::vector<int64_t> before;
  bool good = bindStates(error) && loadStates(error) && plan(error);
  for (const State &state : states)
    before.push_back(state.length());
  good = good && execute(error);
  if (good)
    for (size_t k = 0; k < states.size(); ++k)
      states[k].setLength(table[1 + k]);
  good = good && giveOutputs(wanted, wantedCount, error);
  if (good)
    return true;
  memory->wait(); // the caller's tensors may be on their way
  for (size_t k = 0; k < states.size(); ++k)
    states[k].setLength(stateInputs[k].tensor ? 0 : before[k]);
  return false;
}

} // namespace qcc
