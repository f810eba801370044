// A number format: an element codec, a scale codec and a block, under the name its users know. No MLIR here.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qcc {

/// The operations in which a decode is written. A reader gives them a meaning: numbers on the host, IR lanes, or a
/// cost. Values are the reader's own; integers are 32 bits wide, floats are float32.
class Primitives {
public:
  struct Value {
    void *handle = nullptr;
    double number = 0; // of readers that compute
  };
  virtual ~Primitives() = default;
  virtual Value integer(int32_t value) = 0;
  virtual Value real(float value) = 0;
  /// Bits [low, low + count) of a code, moved to bit 0.
  virtual Value field(Value code, unsigned low, unsigned count) = 0;
  /// The low `count` bits as a two's complement number.
  virtual Value signExtend(Value code, unsigned count) = 0;
  virtual Value add(Value a, Value b) = 0;          // integers
  virtual Value shiftLeft(Value a, unsigned n) = 0; // integers
  virtual Value bitOr(Value a, Value b) = 0;        // integers
  virtual Value asFloat(Value bits) = 0;            // the float32 with these bits
  virtual Value toFloat(Value a) = 0;               // the number an integer is
  virtual Value multiply(Value a, Value b) = 0;     // floats
  /// table[index] for an index below 16.
  virtual Value lookup(llvm::ArrayRef<float> table, Value index) = 0;
};

/// What a block's codes are as small integers: value = (integer(code) * factor) * scale. `isExact` is false where the
/// integers only come close (NF4).
struct IntegerView {
  /// Of codes of at most 4 bits: the integer of each code. Empty for 8-bit two's complement codes, which are their own
  /// integers.
  std::vector<int8_t> table;
  float factor = 1;
  bool isExact = true;
};

/// How one element is stored: code bits <-> number.
class ElementCodec {
public:
  virtual ~ElementCodec() = default;
  virtual llvm::StringRef name() const = 0;
  virtual unsigned bits() const = 0;
  /// The largest magnitude that is expressed, for scales that map a block's largest value to it.
  virtual float largest() const = 0;
  /// The code whose value is nearest to `value` (ties to even where the format rounds, to the smaller magnitude in
  /// tables); saturates.
  virtual uint32_t encode(float value) const = 0;
  /// The value of a code, written in primitives; the same definition is run on the host and emitted into kernels.
  virtual Primitives::Value decode(Primitives &p, Primitives::Value code) const = 0;
  virtual std::optional<IntegerView> integerView() const { return std::nullopt; }
  /// `decode` on the host.
  float value(uint32_t code) const;
};

/// How a block's scale is stored.
class ScaleCodec {
public:
  virtual ~ScaleCodec() = default;
  virtual llvm::StringRef name() const = 0;
  virtual unsigned bits() const = 0; // 0: there is no scale
  /// The code of the scale to use for a wanted one; what is decoded is what the block's codes are made with.
  virtual uint32_t encode(float scale) const = 0;
  virtual Primitives::Value decode(Primitives &p, Primitives::Value code) const = 0;
  /// The largest scale expressed, where a tensor-wide float32 scale has to bring the blocks' scales into range (NVFP4);
  /// 0: none needed.
  virtual float tensorScaleFor() const { return 0; }
  float value(uint32_t code) const;
};

/// A matrix of rows x columns stored in a format. Codes: each row's, packed from the low bits of each byte on, every
/// row starting at a byte. Scales: little-endian codes of (scale bits / 8) bytes, [row blocks][column blocks]. Zeros:
/// one byte each, where the format has them.
struct EncodedMatrix {
  int64_t rows = 0, columns = 0;
  std::vector<uint8_t> codes, scales, zeros;
  float tensorScale = 1; // multiplies every scale
};

/// A format; immutable.
class Format {
public:
  std::string name;     // "int4-g32"
  std::string sentence; // for --print-formats
  const ElementCodec *element = nullptr;
  const ScaleCodec *scale = nullptr;
  /// Elements of a row that share a scale; 0: the whole row. The last block of a row may be short.
  int64_t block = 0;
  /// Rows that share a scale: 1, a number, or 0 for all.
  int64_t blockRows = 1;
  /// Whether a block has a zero: value = (code - zero) * scale, codes unsigned.
  bool hasZero = false;

  int64_t columnBlocks(int64_t columns) const;
  int64_t rowBlocks(int64_t rows) const;
  int64_t rowCodeBytes(int64_t columns) const { return (columns * element->bits() + 7) / 8; }
  /// Bytes of a matrix in this format, exactly.
  int64_t bytes(int64_t rows, int64_t columns) const;
  double bitsPerWeight(int64_t rows, int64_t columns) const {
    return 8.0 * bytes(rows, columns) / (double(rows) * columns);
  }
  /// Whether elements are floats stored as they are, without scales.
  bool isPlain() const { return scale->bits() == 0; }

  /// Rounds a row-major float32 matrix to nearest. Equal input gives equal bytes whatever `threads` is.
  EncodedMatrix encode(llvm::ArrayRef<float> matrix, int64_t rows, int64_t columns) const;
  /// The values of rows [first, first + count).
  void decode(const EncodedMatrix &matrix, int64_t first, int64_t count, float *out) const;
};

/// The format of a name as users spell it: float32, float16, bfloat16, int8, int8-tensor, int8-g32, int4-g32,
/// int4-g32-asym, int4 (a scale per row), fp8, fp8-tensor, fp8-b128x128, nf4, nf4-g64, mxfp4, nvfp4. An unknown name is
/// an error that names the nearest known one.
llvm::Expected<Format> findFormat(llvm::StringRef name);

/// A row for each family of formats, for listings and for tests that run over all of them.
llvm::ArrayRef<Format> allFormats();

} // namespace qcc
