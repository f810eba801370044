// What a method's rounding costs in one format and in another, without quantizing all of a program in each.
#pragma once

#include "qcc/Calibration/Methods.h"

namespace qcc {

/// Of one linear operation: the energy of its output's error, tr((W - Q) H (W - Q)ᵀ), H being the covariance of what it
/// reads.
struct FormatErrors {
  std::vector<double> byMethod; // by format
  double toNearest = 0;         // rounded to nearest, in the format in the middle
};

/// The method is run on a group as it stands in the program, all of whose operations it is for: on some of each
/// matrix's rows, since rows are rounded one by one in most formats. Inputs are scaled once, for `formats[middle]`;
/// `rounded` is what activations are rounded to.
llvm::Expected<std::vector<FormatErrors>> methodErrors(const LinearGroup &group, const Method &method,
                                                       llvm::ArrayRef<Format> formats, size_t middle,
                                                       const std::optional<Format> &rounded,
                                                       const Activations &activations);

} // namespace qcc
