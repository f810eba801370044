#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerMovement(OperatorRegistry &registry) {
  registerArrange(registry);
  registerConcat(registry);
  registerDimensions(registry);
  registerExpand(registry);
  registerGather(registry);
  registerGenerate(registry);
  registerPad(registry);
  registerReshape(registry);
  registerScatter(registry);
  registerSelect(registry);
  registerSlice(registry);
  registerTranspose(registry);
  registerUnique(registry);
}
