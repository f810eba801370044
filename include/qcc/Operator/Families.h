// The operator families: each registers the operators of one source file of the same name.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerAppend(OperatorRegistry &);
void registerDimensions(OperatorRegistry &);
void registerElementwise(OperatorRegistry &);
void registerMatMul(OperatorRegistry &);

} // namespace qcc
