// How far one program's outputs are from another's, over any number of runs.
#ifndef QCC_PROGRAM_DIVERGENCE_H
#define QCC_PROGRAM_DIVERGENCE_H

#include "qcc/Npz/Npz.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace qcc {

// Collects runs of a reference and a subject on the same inputs.
class Divergence {
public:
  // The outputs of one run of each, in the same order. Only float32 outputs are looked at; shapes must be equal.
  bool add(const std::vector<NpzArray> &reference, const std::vector<NpzArray> &subject, std::string &error);

  // ‖a−b‖/‖b‖ per output over all runs, b being the reference's.
  std::map<std::string, double> relativeErrors() const;
  // Of the first output whose last axis has more than one element, its rows read as logits: the mean of
  // KL(reference ‖ subject) in nats, and the share of rows whose largest element stands at the same place.
  // NaN when there is no such output.
  double kld() const;
  double top1() const;
  int64_t rows() const { return rowCount; }

private:
  struct Sums {
    double difference = 0, energy = 0;
  };
  std::map<std::string, Sums> outputs;
  std::string logits;
  double divergence = 0;
  int64_t same = 0, rowCount = 0;
};

} // namespace qcc

#endif // QCC_PROGRAM_DIVERGENCE_H
