// The words that instructions of memory share.
#ifndef QCC_LIB_PTXEMU_MEMORY_WORDS_H
#define QCC_LIB_PTXEMU_MEMORY_WORDS_H

#include "Decode/Decoder.h"

namespace qcc::ptxemu {

// The space of an access; generic if none is named.
Space takeSpace(Modifiers &words);
// Weak accesses may race, strong ones with each other may not.
bool takeOrder(Modifiers &words);
// What is said to caches changes no result. True if an operand with a policy follows.
bool takeCacheWords(Modifiers &words);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_MEMORY_WORDS_H
