#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerMovement(OperatorRegistry &registry) {
  registerConcat(registry);
  registerDimensions(registry);
  registerExpand(registry);
  registerGather(registry);
  registerGenerate(registry);
  registerPad(registry);
  registerReshape(registry);
  registerSlice(registry);
  registerTranspose(registry);
}
