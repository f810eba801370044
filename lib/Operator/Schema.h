// What ONNX's own schemas demand of a node, checked before a family sees it.
#pragma once

#include "qcc/Operator/Node.h"

namespace qcc {

/// Reports a node that ONNX's schema of its operator does not allow: too few or too many inputs or outputs, a required
/// input or attribute that is missing, an attribute of another kind, an element type that is not among those allowed or
/// differs from that of another input where both must be the same. Operators without a schema pass.
mlir::LogicalResult checkSchema(const Node &node);

} // namespace qcc
