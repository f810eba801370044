#include "Register.h"
#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerImage(OperatorRegistry &registry) { registerResize(registry); }
