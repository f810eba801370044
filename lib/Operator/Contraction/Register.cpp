#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerContraction(OperatorRegistry &registry) {
  registerFourier(registry);
  registerMatMul(registry);
}
