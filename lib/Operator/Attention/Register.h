// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerAppend(OperatorRegistry &);
void registerGroupQuery(OperatorRegistry &);
void registerMultiHead(OperatorRegistry &);
void registerOnnxAttention(OperatorRegistry &);
void registerRotary(OperatorRegistry &);

} // namespace qcc
