// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerIf(OperatorRegistry &);
void registerLoop(OperatorRegistry &);
void registerScanLoop(OperatorRegistry &);

} // namespace qcc
