#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerControl(OperatorRegistry &registry) {
  registerIf(registry);
  registerLoop(registry);
  registerScanLoop(registry);
}
