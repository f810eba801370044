#include "qcc/Operator/Families.h"
#include "qcc/Operator/Registry.h"

void qcc::registerConvolution(OperatorRegistry &registry) {}
