#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerElementwise(OperatorRegistry &registry) {
  registerActivation(registry);
  registerArithmetic(registry);
  registerCast(registry);
  registerLogic(registry);
  registerRealFunctions(registry);
}
