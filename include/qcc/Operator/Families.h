// The operator families: each function registers the operators of the folder of its name under lib/Operator/.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerAttention(OperatorRegistry &);
void registerContraction(OperatorRegistry &);
void registerControl(OperatorRegistry &);
void registerConvolution(OperatorRegistry &);
void registerElementwise(OperatorRegistry &);
void registerImage(OperatorRegistry &);
void registerMovement(OperatorRegistry &);
void registerNormalization(OperatorRegistry &);
void registerQuantization(OperatorRegistry &);
void registerRecurrent(OperatorRegistry &);
void registerReduction(OperatorRegistry &);

} // namespace qcc
