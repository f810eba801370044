#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerQuantization(OperatorRegistry &registry) {
  registerBlockQuantized(registry);
  registerDynamicQuantize(registry);
  registerIntegerProducts(registry);
  registerQLinear(registry);
  registerQuantizeLinear(registry);
  registerRequantize(registry);
}
