// A kernel's arguments from the command line.
#ifndef QCC_TOOLS_PTXEMU_ARGUMENTS_H
#define QCC_TOOLS_PTXEMU_ARGUMENTS_H

#include "qcc/Npz/Npz.h"
#include "qcc/Ptxemu/Device.h"

#include <map>
#include <string>
#include <vector>

// Builds the parameter block. Arrays are copied to the device once, whatever arguments name them.
class Arguments {
public:
  Arguments(qcc::ptxemu::Device &device, std::vector<qcc::NpzArray> &arrays) : device(device), arrays(arrays) {}

  // ptr:NAME[+BYTES], map:NAME:BOX:SWIZZLE[:TYPE], or TYPE:VALUE. False with the reason in `error`.
  bool add(const std::string &text, const qcc::ptxemu::Parameter &parameter, std::string &error);
  const std::vector<uint8_t> &block() const { return bytes; }
  // Brings back what the kernel wrote.
  void download();

private:
  bool place(const std::string &name, uint64_t &address, const qcc::NpzArray *&array, std::string &error);
  bool addMap(const std::string &text, void *map, std::string &error);

  qcc::ptxemu::Device &device;
  std::vector<qcc::NpzArray> &arrays;
  std::map<std::string, uint64_t> placed;
  std::vector<uint8_t> bytes;
};

#endif // QCC_TOOLS_PTXEMU_ARGUMENTS_H
