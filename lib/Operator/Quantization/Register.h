// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerBlockQuantized(OperatorRegistry &);
void registerDynamicQuantize(OperatorRegistry &);
void registerIntegerProducts(OperatorRegistry &);
void registerQLinear(OperatorRegistry &);
void registerQuantizeLinear(OperatorRegistry &);
void registerRequantize(OperatorRegistry &);

} // namespace qcc
