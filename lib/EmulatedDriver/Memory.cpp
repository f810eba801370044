// Entries about memory.
#include "Driver.h"

namespace qcc::cuda {
namespace {

// What makes operations on memory exchangeable in a graph: only their addresses differ.
const char copyKind = 0, fillKind = 0;

// A side of a copy in two dimensions.
struct Side {
  unsigned type;
  const void *host;
  Address device;
  size_t x, y, pitch;

  // Where the row starts.
  Address row(size_t row) const {
    Address start = type == deviceMemory ? device : reinterpret_cast<Address>(host);
    return start + (y + row) * pitch + x;
  }
};

Result move(EmulatedDriver &driver, bool toDevice, Address to, bool fromDevice, Address from, size_t bytes) {
  if (toDevice)
    if (Result result = driver.checkRange(to, bytes, "copy to the device"))
      return result;
  if (fromDevice)
    if (Result result = driver.checkRange(from, bytes, "copy from the device"))
      return result;
  void *hostTarget = reinterpret_cast<void *>(to);
  const void *hostSource = reinterpret_cast<const void *>(from);
  bool done = toDevice
                  ? (fromDevice ? driver.device->copy(to, from, bytes) : driver.device->write(to, hostSource, bytes))
                  : driver.device->read(hostTarget, from, bytes);
  return done || bytes == 0 ? success : invalidValue;
}

Result submitMove(Stream stream, bool toDevice, Address to, bool fromDevice, Address from, size_t bytes) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    return driver.submit(stream, &copyKind,
                         [=, &driver] { return move(driver, toDevice, to, fromDevice, from, bytes); });
  });
}

Address addressOf(const void *host) { return reinterpret_cast<Address>(host); }

} // namespace

Result cuMemGetInfo_v2(size_t *free, size_t *total) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    *total = driver.device->memoryBytes();
    *free = driver.device->memoryBytes() - driver.device->allocatedBytes();
    return success;
  });
}

Result cuMemAlloc_v2(Address *memory, size_t bytes) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (bytes == 0)
      return driver.fail(invalidValue, "an allocation of no bytes");
    uint64_t address = driver.device->allocate(bytes);
    if (!address)
      return outOfMemory;
    // Nobody may rely on what is there: as floating-point numbers the bytes are not numbers.
    driver.device->fill(address, 0xff, bytes);
    *memory = address;
    return success;
  });
}

Result cuMemFree_v2(Address memory) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (driver.device->release(memory))
      return success;
    return driver.fail(invalidValue, "memory is freed that is not an allocation, or was freed before");
  });
}

Result cuMemAllocHost_v2(void **memory, size_t bytes) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (bytes == 0)
      return invalidValue;
    auto fresh = std::make_unique<uint8_t[]>(bytes);
    *memory = fresh.get();
    driver.hostMemory[fresh.get()] = std::move(fresh);
    return success;
  });
}

Result cuMemFreeHost(void *memory) {
  return entry(Needs::Context,
               [&](EmulatedDriver &driver) { return driver.hostMemory.erase(memory) ? success : invalidValue; });
}

Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, Stream stream) {
  return submitMove(stream, true, to, false, addressOf(from), bytes);
}

Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, Stream stream) {
  return submitMove(stream, false, addressOf(to), true, from, bytes);
}

Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, Stream stream) {
  return submitMove(stream, true, to, true, from, bytes);
}

Result cuMemcpy2DAsync_v2(const Copy2D *given, Stream stream) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    const Copy2D &copy = *given;
    Side from{copy.sourceType, copy.sourceHost, copy.sourceDevice, copy.sourceX, copy.sourceY, copy.sourcePitch};
    Side to{copy.targetType, copy.targetHost, copy.targetDevice, copy.targetX, copy.targetY, copy.targetPitch};
    for (const Side *side : {&from, &to}) {
      if (side->type != hostMemory && side->type != deviceMemory)
        return driver.fail(invalidValue, "a copy between kinds of memory that the emulator does not have");
      if (copy.height > 1 && side->pitch < copy.widthInBytes)
        return driver.fail(invalidValue, "a copy whose rows overlap");
    }
    if (from.type == hostMemory && to.type == hostMemory)
      return driver.fail(invalidValue, "a copy that the device has no part in");
    size_t bytes = copy.widthInBytes, rows = copy.height;
    return driver.submit(stream, &copyKind, [=, &driver] {
      Result result = success;
      for (size_t row = 0; row < rows && result == success; ++row)
        result = move(driver, to.type == deviceMemory, to.row(row), from.type == deviceMemory, from.row(row), bytes);
      return result;
    });
  });
}

Result cuMemsetD8Async(Address to, unsigned char value, size_t bytes, Stream stream) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    return driver.submit(stream, &fillKind, [=, &driver]() -> Result {
      if (Result result = driver.checkRange(to, bytes, "fill"))
        return result;
      return driver.device->fill(to, value, bytes) || bytes == 0 ? success : invalidValue;
    });
  });
}

Result cuPointerGetAttribute(void *value, int attribute, Address address) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    uint64_t begin = 0, bytes = 0;
    if (!driver.device->allocationOf(address, begin, bytes))
      return driver.fail(invalidValue, "the address is not in the device's memory");
    if (attribute == pointerMemoryType)
      *static_cast<unsigned *>(value) = deviceMemory;
    else if (attribute == pointerDeviceOrdinal)
      *static_cast<int *>(value) = 0;
    else
      return driver.fail(invalidValue, "the emulator does not know attribute " + std::to_string(attribute));
    return success;
  });
}

} // namespace qcc::cuda
