// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerGru(OperatorRegistry &);
void registerLstm(OperatorRegistry &);
void registerRnn(OperatorRegistry &);

} // namespace qcc
