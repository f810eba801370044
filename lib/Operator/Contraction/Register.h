// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerFourier(OperatorRegistry &);
void registerMatMul(OperatorRegistry &);

} // namespace qcc
