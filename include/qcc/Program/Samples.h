// Data that a program is run on, to observe it or to compare it with another: npz files of inputs.
#ifndef QCC_PROGRAM_SAMPLES_H
#define QCC_PROGRAM_SAMPLES_H

#include "qcc/Artifact/Manifest.h"
#include "qcc/Npz/Npz.h"

#include <string>
#include <vector>

namespace qcc {

// A sample is one set of inputs. Arrays are named as the program's inputs, or `in:NAME`; others are passed over. An
// array with one axis more than its input holds a sample at each index of the first; an array of the input's rank
// belongs to every sample of its file.
//
// A decoder needs no more than `input_ids`: an `attention_mask` that is not there is all ones, `position_ids` count
// from zero, and caches are empty.
class Samples {
public:
  // Reads files, which are untrusted, for the program that `manifest` describes. On failure returns false and says why.
  static bool read(const std::vector<std::string> &paths, const Manifest &manifest, Samples &samples,
                   std::string &error);

  size_t size() const { return count; }
  // Leaves the first ones.
  void truncate(size_t most) { count = most < count ? most : count; }
  // The inputs of one sample.
  std::vector<NpzArray> operator[](size_t index) const;

private:
  struct File {
    std::vector<NpzArray> arrays; // by the order of `manifest.inputs`
    std::vector<bool> stacked;
    size_t samples = 1;
  };
  bool add(const std::vector<NpzArray> &arrays, const Manifest &manifest, std::string &error);

  std::vector<File> files;
  size_t count = 0;
};

} // namespace qcc

#endif // QCC_PROGRAM_SAMPLES_H
