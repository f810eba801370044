// Entries about streams and graphs. What a stream is given is done at once, so that there is nothing to wait for.
#include "Driver.h"

namespace qcc::cuda {

Result cuStreamCreate(Stream *stream, unsigned flags) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (flags > streamNonBlocking)
      return invalidValue;
    *stream = driver.streams.add(std::make_unique<StreamObject>());
    return success;
  });
}

Result cuStreamDestroy_v2(Stream stream) {
  return entry(Needs::Context,
               [&](EmulatedDriver &driver) { return driver.streams.remove(stream) ? success : invalidHandle; });
}

Result cuStreamSynchronize(Stream stream) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (stream && !driver.streams.has(stream))
      return driver.fail(invalidHandle, "there is no such stream");
    if (stream && stream->captures)
      return driver.fail(captureUnsupported, "a stream that is captured cannot be waited for");
    return success;
  });
}

Result cuStreamBeginCapture_v2(Stream stream, int mode) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (!stream || !driver.streams.has(stream) || mode < 0 || mode > captureRelaxed)
      return invalidValue;
    if (stream->captures)
      return driver.fail(captureUnsupported, "the stream is captured already");
    stream->captures = true;
    return success;
  });
}

Result cuStreamEndCapture(Stream stream, Graph *graph) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (!driver.streams.has(stream) || !stream->captures)
      return captureUnmatched;
    stream->captures = false;
    auto made = std::make_unique<GraphObject>();
    made->operations = std::move(stream->captured);
    stream->captured.clear();
    *graph = driver.graphs.add(std::move(made));
    return success;
  });
}

Result cuGraphInstantiateWithFlags(GraphExec *exec, Graph graph, unsigned long long flags) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (!driver.graphs.has(graph) || flags != 0)
      return invalidValue;
    auto made = std::make_unique<GraphExecObject>();
    made->operations = graph->operations;
    *exec = driver.graphExecs.add(std::move(made));
    return success;
  });
}

Result cuGraphExecUpdate_v2(GraphExec exec, Graph graph, GraphUpdate *info) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (!driver.graphs.has(graph) || !driver.graphExecs.has(exec))
      return invalidValue;
    *info = {};
    bool same = exec->operations.size() == graph->operations.size();
    for (size_t i = 0; same && i < exec->operations.size(); ++i)
      same = exec->operations[i].kind == graph->operations[i].kind;
    if (!same) {
      info->result = 1;
      return graphUpdateFailure;
    }
    exec->operations = graph->operations;
    return success;
  });
}

Result cuGraphLaunch(GraphExec exec, Stream stream) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) -> Result {
    if (!driver.graphExecs.has(exec))
      return invalidValue;
    for (const Operation &operation : exec->operations)
      if (Result result = driver.submit(stream, operation.kind, operation.run))
        return result;
    return success;
  });
}

Result cuGraphDestroy(Graph graph) {
  return entry(Needs::Context,
               [&](EmulatedDriver &driver) { return driver.graphs.remove(graph) ? success : invalidValue; });
}

Result cuGraphExecDestroy(GraphExec exec) {
  return entry(Needs::Context,
               [&](EmulatedDriver &driver) { return driver.graphExecs.remove(exec) ? success : invalidValue; });
}

} // namespace qcc::cuda
