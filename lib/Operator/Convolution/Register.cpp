#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerConvolution(OperatorRegistry &registry) {
  registerCausalConv(registry);
  registerCodeConv(registry);
  registerConv(registry);
  registerConvTranspose(registry);
  registerDeformConv(registry);
  registerGlobalPool(registry);
  registerPool(registry);
  registerWinograd(registry);
}
