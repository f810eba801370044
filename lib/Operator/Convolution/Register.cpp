#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerConvolution(OperatorRegistry &registry) {
  registerConv(registry);
  registerConvTranspose(registry);
  registerGlobalPool(registry);
  registerPool(registry);
}
