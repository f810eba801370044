// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerGridSample(OperatorRegistry &);
void registerNonMaxSuppression(OperatorRegistry &);
void registerResize(OperatorRegistry &);
void registerRoiAlign(OperatorRegistry &);
void registerUnpool(OperatorRegistry &);

} // namespace qcc
