// What the machine's processor can do, by LLVM's names of CPU features.
#ifndef QCC_LIB_RUNTIME_CPUFEATURES_H
#define QCC_LIB_RUNTIME_CPUFEATURES_H

#include <string_view>

namespace qcc {

// False for a feature that the processor lacks, the operating system does not save, or whose name is not known here.
bool cpuSupports(std::string_view feature);

} // namespace qcc

#endif // QCC_LIB_RUNTIME_CPUFEATURES_H
