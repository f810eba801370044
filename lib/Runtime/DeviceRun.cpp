// The part of a session that runs programs for devices.
#include "Session.h"

namespace qcc {

void Session::bindDevice(qcc_frame &frame) {
  frame.launch = [](qcc_frame *frame, int64_t kernel, int64_t blocks, void **arguments) {
    Session *session = static_cast<Session *>(frame->runtime);
    if (!session->queue->launch(kernel, blocks, arguments))
      session->abandonDevice();
  };
  frame.read = [](qcc_frame *frame, const void *from, void *to, int64_t bytes) {
    Session *session = static_cast<Session *>(frame->runtime);
    if (!session->queue->read(from, to, bytes))
      session->abandonDevice();
  };
  frame.tensor_map = [](qcc_frame *frame, void *map, const qcc_tensor_map *description) {
    Session *session = static_cast<Session *>(frame->runtime);
    if (!session->queue->encode(map, *description))
      session->abandonDevice();
  };
}

void Session::abandonDevice() {
  describeRefusal();
  pool.abandon(0);
}

void Session::describeRefusal() noexcept { queue->refuse(failure, "the run"); }

bool Session::canRecord() const { return options.graphs && queue && placement->code->devicePart()->is_capturable != 0; }

// Everything that what a capturable program starts follows from.
std::vector<int64_t> Session::dependencies(const qcc_frame &frame) const {
  std::vector<int64_t> all = table;
  auto add = [&](const void *address) { all.push_back(reinterpret_cast<int64_t>(address)); };
  for (size_t k = 0; k < inputs.size(); ++k)
    add(frame.inputs[k]);
  for (size_t k = 0; k < states.size(); ++k)
    add(frame.states[k]);
  for (const Output &output : outputs)
    add(output.storage.data());
  add(frame.arena);
  return all;
}

bool Session::runRecorded(qcc_frame &frame) {
  Recordings::Recording &recording = recordings.find(inputDims);
  if (recording.dependencies.empty() || recording.dependencies != dependencies(frame)) {
    recording.dependencies.clear();
    if (!queue->beginRecording())
      return queue->refuse(failure, "the run");
    bool ended = runUntilFailure(frame);
    if (!queue->endRecording(recording.slot, ended) && ended)
      ended = queue->refuse(failure, "the run");
    if (!ended || frame.error != 0)
      return ended;
    recording.dependencies = dependencies(frame);
    recording.outputs.clear();
    for (const Output &output : outputs)
      recording.outputs.push_back({output.dims, output.bytes, output.made});
  }
  for (size_t k = 0; k < outputs.size(); ++k) {
    outputs[k].dims = recording.outputs[k].dims;
    outputs[k].bytes = recording.outputs[k].bytes;
    outputs[k].made = recording.outputs[k].made;
  }
  return queue->replay(recording.slot) || queue->refuse(failure, "the run");
}

bool Session::runOnDevice(qcc_frame &frame) {
  bindDevice(frame);
  if (!queue->begin(frame))
    return queue->refuse(failure, "the run");
  bool ended = canRecord() ? runRecorded(frame) : runUntilFailure(frame);
  int64_t reported = 0;
  if (!queue->end(reported) && ended)
    ended = queue->refuse(failure, "the run");
  frame.error = frame.error ? frame.error : reported;
  return ended;
}

} // namespace qcc
