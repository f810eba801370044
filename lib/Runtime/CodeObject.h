// A loaded code object: the shared object inside an artifact that holds the program for one kind of processor.
#ifndef QCC_LIB_RUNTIME_CODEOBJECT_H
#define QCC_LIB_RUNTIME_CODEOBJECT_H

#include "Error.h"
#include "qcc/Artifact/Reader.h"
#include "qcc/Runtime/Abi.h"

#include <functional>
#include <memory>
#include <string>

namespace qcc {

class CodeObject {
public:
  // Loads the target called `wanted`, or the first of the manifest's that this machine supports when that is empty.
  // `lacks` says what a target lacks on the device; empty when it is for that.
  using Lacks = std::function<std::string(const Manifest::Target &)>;
  static std::unique_ptr<CodeObject> load(const ArtifactReader &artifact, const std::string &wanted, const Lacks &lacks,
                                          Error &error);
  ~CodeObject();
  CodeObject(const CodeObject &) = delete;
  CodeObject &operator=(const CodeObject &) = delete;

  const qcc_program &program() const { return *entry; }
  const Manifest::Target &description() const { return *chosen; }
  const std::string &target() const { return chosen->name; }
  // Of a target for a device; else null.
  const qcc_device_program *devicePart() const { return deviceEntry; }

private:
  CodeObject() = default;
  void *library = nullptr;
  int file = -1; // what `library` was loaded from
  const qcc_program *entry = nullptr;
  const qcc_device_program *deviceEntry = nullptr;
  const Manifest::Target *chosen = nullptr; // in the artifact's manifest
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_CODEOBJECT_H
