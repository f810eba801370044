// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerLoss(OperatorRegistry &);
void registerReduce(OperatorRegistry &);
void registerScan(OperatorRegistry &);
void registerSoftmax(OperatorRegistry &);
void registerTopK(OperatorRegistry &);

} // namespace qcc
