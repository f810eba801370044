#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerImage(OperatorRegistry &registry) {
  registerGridSample(registry);
  registerNonMaxSuppression(registry);
  registerResize(registry);
  registerRoiAlign(registry);
  registerUnpool(registry);
}
