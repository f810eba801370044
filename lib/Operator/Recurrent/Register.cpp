#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerRecurrent(OperatorRegistry &registry) {
  registerGru(registry);
  registerLstm(registry);
  registerRnn(registry);
}
