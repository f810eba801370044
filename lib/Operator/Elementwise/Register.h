// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerActivation(OperatorRegistry &);
void registerArithmetic(OperatorRegistry &);
void registerCast(OperatorRegistry &);
void registerLogic(OperatorRegistry &);
void registerRealFunctions(OperatorRegistry &);

} // namespace qcc
