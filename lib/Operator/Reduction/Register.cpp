#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerReduction(OperatorRegistry &registry) {
  registerLoss(registry);
  registerReduce(registry);
  registerScan(registry);
  registerSoftmax(registry);
  registerTopK(registry);
}
