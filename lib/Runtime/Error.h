// How the runtime's parts report a failure to the C interface.
#ifndef QCC_LIB_RUNTIME_ERROR_H
#define QCC_LIB_RUNTIME_ERROR_H

#include "qcc/Runtime/qcc.h"

#include <string>

namespace qcc {

struct Error {
  qcc1_status code = QCC1_OK;
  std::string message, node;

  // Returns false, to be returned.
  bool set(qcc1_status newCode, std::string newMessage, std::string newNode = {}) {
    code = newCode;
    message = std::move(newMessage);
    node = std::move(newNode);
    return false;
  }
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_ERROR_H
