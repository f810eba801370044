#include "Lanes/Lanes.h"

namespace qcc::ptxemu {

namespace baseline {
extern const LaneHandlers handlers;
}
#ifdef QCC_PTXEMU_X86
namespace avx2 {
extern const LaneHandlers handlers;
}
namespace avx512 {
extern const LaneHandlers handlers;
}
#endif

const LaneHandlers &laneHandlers() {
#ifdef QCC_PTXEMU_X86
  static const LaneHandlers &best = __builtin_cpu_supports("x86-64-v4")   ? avx512::handlers
                                    : __builtin_cpu_supports("x86-64-v3") ? avx2::handlers
                                                                          : baseline::handlers;
  return best;
#else
  return baseline::handlers;
#endif
}

} // namespace qcc::ptxemu
