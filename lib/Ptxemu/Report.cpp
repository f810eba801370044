#include "qcc/Ptxemu/Report.h"

#include <cstdio>

namespace qcc::ptxemu {

std::string Finding::text() const {
  std::string result = kind + ": " + message + " [kernel " + kernel;
  if (line)
    result += ", line " + std::to_string(line) + ": " + instruction;
  if (warp >= 0)
    result += ", block " + std::to_string(block[0]) + "," + std::to_string(block[1]) + "," + std::to_string(block[2]) +
              " warp " + std::to_string(warp);
  if (lanes) {
    char mask[16];
    std::snprintf(mask, sizeof mask, "%08x", lanes);
    bool isOne = (lanes & (lanes - 1)) == 0;
    result += isOne ? " lane " + std::to_string(__builtin_ctz(lanes)) : " lanes " + std::string(mask);
  }
  if (times > 1)
    result += ", " + std::to_string(times) + " times";
  return result + "]";
}

std::string Report::text() const {
  std::string result;
  for (const Finding &finding : findings)
    result += finding.text() + "\n";
  return result;
}

} // namespace qcc::ptxemu
