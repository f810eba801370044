#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerAttention(OperatorRegistry &registry) {
  registerAppend(registry);
  registerGroupQuery(registry);
  registerMultiHead(registry);
  registerOnnxAttention(registry);
  registerRotary(registry);
}
