// What a launch in the emulator found, counted and executed.
#ifndef QCC_PTXEMU_REPORT_H
#define QCC_PTXEMU_REPORT_H

#include <cstdint>
#include <string>
#include <vector>

namespace qcc::ptxemu {

// Something that hardware would punish: by a fault, a hang, or a wrong result on some day.
struct Finding {
  // One of: launch, out-of-bounds, misaligned, uninitialised, race, proxy, barrier, diverged, shuffle, mbarrier,
  // deadlock, wgmma, tcgen05, descriptor, tma, setmaxnreg, trap, limit, unsupported.
  std::string kind;
  std::string message; // what happened
  std::string kernel;
  uint32_t line = 0;       // in the PTX text; 0 if it belongs to no instruction
  std::string instruction; // as it stands in the text
  uint32_t block[3] = {0, 0, 0};
  int warp = -1; // -1 if it belongs to no warp
  uint32_t lanes = 0;
  uint64_t times = 1; // how often the same was found at this place

  // All of it in one line.
  std::string text() const;
};

struct LineCount {
  uint32_t line = 0;
  std::string instruction;
  uint64_t executed = 0;      // by a warp or a part of it
  uint64_t threads = 0;       // threads that took part, summed
  uint64_t bankConflicts = 0; // additional passes over the banks of shared memory
};

struct Counts {
  uint64_t instructions = 0; // executed by a warp or a part of it
  uint64_t threadInstructions = 0;
  uint64_t sharedAccesses = 0; // instructions of a warp that access shared memory through its banks
  uint64_t bankConflicts = 0;  // their additional passes
};

struct Report {
  std::vector<Finding> findings;
  Counts counts;
  // Every instruction of the kernel and of what it calls, in the order of the text; those never executed too.
  std::vector<LineCount> coverage;

  bool ok() const { return findings.empty(); }
  // One line for each finding.
  std::string text() const;
};

} // namespace qcc::ptxemu

#endif // QCC_PTXEMU_REPORT_H
