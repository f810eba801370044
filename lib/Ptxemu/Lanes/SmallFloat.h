// Every float that PTX names, in any rounding, one value at a time.
#ifndef QCC_LIB_PTXEMU_LANES_SMALLFLOAT_H
#define QCC_LIB_PTXEMU_LANES_SMALLFLOAT_H

#include "Lanes/Lanes.h"

namespace qcc::ptxemu {

double decodeFloat(Type type, uint64_t bits);
// Overflow goes to infinity, or to the largest finite value if `saturatesFinite` or the type has no infinity.
uint32_t encodeFloat(Type type, double value, Rounding rounding, bool saturatesFinite);
// The values of all patterns of a type of up to 8 bits; those of e4m3 for ue4m3.
const float *valuesOf(Type type);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_LANES_SMALLFLOAT_H
