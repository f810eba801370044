// A loaded code object: the shared object inside an artifact that holds the program for one kind of processor.
#ifndef QCC_LIB_RUNTIME_CODEOBJECT_H
#define QCC_LIB_RUNTIME_CODEOBJECT_H

#include "Error.h"
#include "qcc/Artifact/Reader.h"
#include "qcc/Runtime/Abi.h"

#include <memory>
#include <string>

namespace qcc {

class CodeObject {
public:
  // Loads the target called `wanted`, or the first of the manifest's that this machine supports when that is empty.
  static std::unique_ptr<CodeObject> load(const ArtifactReader &artifact, const std::string &wanted, Error &error);
  ~CodeObject();
  CodeObject(const CodeObject &) = delete;
  CodeObject &operator=(const CodeObject &) = delete;

  const qcc_program &program() const { return *entry; }
  const std::string &target() const { return targetName; }

private:
  CodeObject() = default;
  void *library = nullptr;
  int file = -1; // what `library` was loaded from
  const qcc_program *entry = nullptr;
  std::string targetName;
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_CODEOBJECT_H
