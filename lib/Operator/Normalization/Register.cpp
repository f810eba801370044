#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerNormalization(OperatorRegistry &registry) {
  registerBatchNormalization(registry);
  registerEmbedLayerNormalization(registry);
  registerImageNormalization(registry);
  registerLayerNormalization(registry);
  registerLocalNormalization(registry);
}
