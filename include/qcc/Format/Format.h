// A number format: an element codec, a scale codec and a block, under the name its users know. No MLIR here.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <mutex>
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
  virtual Value bitAnd(Value a, uint32_t mask) = 0; // integers
  virtual Value asFloat(Value bits) = 0;            // the float32 with these bits
  virtual Value toFloat(Value a) = 0;               // the number an integer is
  virtual Value multiply(Value a, Value b) = 0;     // floats
  /// The number that the low 16 bits are as an IEEE half float.
  virtual Value halfToFloat(Value code) = 0;
  /// table[index] for an index below 16.
  virtual Value lookup(llvm::ArrayRef<float> table, Value index) = 0;
};

/// What encodes need beside. Conditions are the reader's own too.
class EncodePrimitives : public Primitives {
public:
  virtual Value divide(Value a, Value b) = 0;                             // floats
  virtual Value addFloats(Value a, Value b) = 0;                          // rounded to float32
  virtual Value bits(Value x) = 0;                                        // of a float32
  virtual Value isLess(Value a, Value b) = 0;                             // integers
  virtual Value isLessFloat(Value a, Value b) = 0;                        // no for NaNs
  virtual Value select(Value condition, Value then, Value otherwise) = 0; // of one kind

  /// The integer nearest to a float of magnitude below 2^22, to even: a sum rounds at the unit of 1.5 * 2^23.
  Value nearest(Value x) { return add(bits(addFloats(x, real(12582912.0f))), integer(-0x4b400000)); }
  Value smaller(Value a, Value b) { return select(isLessFloat(b, a), b, a); } // `a` where one is a NaN
  Value larger(Value a, Value b) { return select(isLessFloat(a, b), b, a); }
  /// Whether a float is neither infinite nor a NaN.
  Value isFinite(Value x) { return isLess(bitAnd(bits(x), 0x7fffffff), integer(0x7f800000)); }
  Value isNaN(Value x) { return isLess(integer(0x7f800000), bitAnd(bits(x), 0x7fffffff)); }
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
  /// The codes whose values times `scale` are nearest to a block's elements: ties to even where the format rounds, to
  /// the smaller magnitude in tables. Saturates, infinities too where the codec has none; a NaN has the code of 0 where
  /// the codec has no NaN. Unsigned integers have `zero` added; it is 0 for all others.
  virtual void encodeBlock(llvm::ArrayRef<float> block, float scale, int32_t zero, uint32_t *codes) const = 0;
  /// The value of a code, written in primitives; the same definition is run on the host and emitted into kernels. Codes
  /// that stand for no number are read only by codecs that make them (float16, bfloat16, float32).
  virtual Primitives::Value decode(Primitives &p, Primitives::Value code) const = 0;
  /// What `encodeBlock` makes of one element, in primitives.
  virtual Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value x, Primitives::Value scale,
                                   Primitives::Value zero) const = 0;
  virtual std::optional<IntegerView> integerView() const { return std::nullopt; }

  /// `encodeBlock` of one number, with the scale 1.
  uint32_t encode(float value) const;
  /// `decode` on the host.
  float value(uint32_t code) const;
  /// The values of all codes, of codecs of at most 16 bits; computed once.
  llvm::ArrayRef<float> values() const;

private:
  mutable std::once_flag once;
  mutable std::vector<float> table;
};

/// How a block's scale is stored.
class ScaleCodec {
public:
  virtual ~ScaleCodec() = default;
  virtual llvm::StringRef name() const = 0;
  virtual unsigned bits() const = 0; // 0: there is no scale
  /// The scale to ask for when the largest magnitude of a block is `amax` and the one elements express is `largest`.
  virtual float wanted(float amax, float largest) const { return amax / largest; }
  /// The code of the scale to use for a wanted one; what is decoded is what the block's codes are made with. A positive
  /// scale stays positive.
  virtual uint32_t encode(float scale) const = 0;
  virtual Primitives::Value decode(Primitives &p, Primitives::Value code) const = 0;
  /// `wanted` and `encode` in primitives.
  virtual Primitives::Value wanted(EncodePrimitives &p, Primitives::Value amax, float largest) const {
    return p.divide(amax, p.real(largest));
  }
  virtual Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value scale) const = 0;
  /// The largest scale expressed, where a tensor-wide float32 scale has to bring the blocks' scales into range (NVFP4);
  /// 0: none needed.
  virtual float tensorScaleFor() const { return 0; }
  float value(uint32_t code) const;

private:
  mutable std::once_flag once;
  mutable std::vector<float> table; // of all codes, where they have at most 16 bits
};

/// The scale that a block is given.
struct BlockScale {
  uint32_t code = 0;
  float value = 1; // with the tensor's scale
  uint8_t zero = 0;
};

/// The same in primitives.
struct BlockScaleValues {
  Primitives::Value code, value, zero;
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
  int64_t rowCodeBytes(int64_t columns) const;
  /// Bytes of a matrix in this format, exactly; the largest integer where they are more than it.
  int64_t bytes(int64_t rows, int64_t columns) const;
  double bitsPerWeight(int64_t rows, int64_t columns) const {
    return 8.0 * bytes(rows, columns) / (double(rows) * columns);
  }
  /// Whether elements are floats stored as they are, without scales.
  bool isPlain() const { return scale->bits() == 0; }

  /// The scale of the whole matrix whose largest magnitude is `amax`; 1 where the format has none.
  float chooseTensorScale(float amax) const;
  /// The scale (and zero) of a block whose values lie in [lowest, highest], for rounding to nearest. 0 is taken as one
  /// of them.
  BlockScale chooseScale(float lowest, float highest, float tensorScale) const;
  /// The same in primitives, where there is no scale of the whole matrix.
  BlockScaleValues chooseScale(EncodePrimitives &p, Primitives::Value lowest, Primitives::Value highest) const;
  /// An element in primitives. `scale` is the block's, times the tensor's; `minusZero` its zero, negated, where the
  /// format has zeros.
  Primitives::Value value(Primitives &p, Primitives::Value code, Primitives::Value scale,
                          Primitives::Value minusZero) const;

  /// Rounds a row-major float32 matrix to nearest. Scales are made from the finite values; see
  /// ElementCodec::encodeBlock for the others, which `isFinite` finds.
  EncodedMatrix encode(llvm::ArrayRef<float> matrix, int64_t rows, int64_t columns) const;
  /// A matrix without codes and scales, for storeScale and storeRow to fill.
  EncodedMatrix allocate(int64_t rows, int64_t columns, float tensorScale) const;
  /// Sets the scale and zero of the block `index` = row block * column blocks + column block.
  void storeScale(EncodedMatrix &matrix, int64_t index, const BlockScale &scale) const;
  /// Sets the codes of a row.
  void storeRow(EncodedMatrix &matrix, int64_t row, llvm::ArrayRef<uint32_t> codes) const;
  /// The values of rows [first, first + count).
  void decode(const EncodedMatrix &matrix, int64_t first, int64_t count, float *out) const;
};

/// Whether no value is infinite or a NaN.
bool isFinite(llvm::ArrayRef<float> values);

/// A codec by its name; null where there is none. For formats that are put together by hand; those of findFormat have
/// theirs.
const ElementCodec *findElementCodec(llvm::StringRef name);
const ScaleCodec *findScaleCodec(llvm::StringRef name);

/// The format of a name as users spell it: float32, float16, bfloat16, int8, int8-tensor, int8-g32, int4-g32,
/// int4-g32-asym, int4 (a scale per row), fp8, fp8-tensor, fp8-b128x128, nf4, nf4-g64, mxfp4, nvfp4 ... Scales are
/// float32, but for those of -gN after int8 and int4, which are float16. An unknown name is an error that names the
/// nearest known one.
llvm::Expected<Format> findFormat(llvm::StringRef name);

/// A row for each family of formats, for listings and for tests that run over all of them.
llvm::ArrayRef<Format> allFormats();

/// What activations are multiplied in where nothing else is asked for: "int8" (with a scale per token and block)
/// where the elements have an integer view, else "float32".
llvm::StringRef defaultComputeType(const Format &format);

/// All formats as a Markdown table: what `qcc --print-formats` prints and docs/formats.md holds.
std::string formatTable();

} // namespace qcc
