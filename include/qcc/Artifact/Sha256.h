// SHA-256 (FIPS 180-4): the hash of an artifact's parts, which `sha256sum` on an unpacked part confirms.
#ifndef QCC_ARTIFACT_SHA256_H
#define QCC_ARTIFACT_SHA256_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace qcc {

class Sha256 {
public:
  Sha256();
  void update(const void *data, size_t size);
  // 64 lower-case hexadecimal digits. The object is spent afterwards.
  std::string finish();

  static std::string of(const void *data, size_t size);

private:
  uint32_t state[8];
  uint64_t length = 0; // bytes
  uint8_t pending[64];
};

} // namespace qcc

#endif // QCC_ARTIFACT_SHA256_H
