// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerCausalConv(OperatorRegistry &);
void registerCodeConv(OperatorRegistry &);
void registerConv(OperatorRegistry &);
void registerConvTranspose(OperatorRegistry &);
void registerDeformConv(OperatorRegistry &);
void registerGlobalPool(OperatorRegistry &);
void registerPool(OperatorRegistry &);
void registerWinograd(OperatorRegistry &);

} // namespace qcc
