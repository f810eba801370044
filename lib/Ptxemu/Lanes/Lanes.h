// Arithmetic over the 32 lanes of registers. The sources that implement it are compiled once for each vector extension
// of the host; laneHandlers picks the best that the host has.
#ifndef QCC_LIB_PTXEMU_LANES_LANES_H
#define QCC_LIB_PTXEMU_LANES_LANES_H

#include "Decode/Instruction.h"
#include "Syntax/Type.h"

namespace qcc::ptxemu {

// d = op(a, b, c) unless said otherwise.
enum class IntegerOp : uint8_t {
  Move,
  Add,
  Sub,
  Mul,
  MulHigh,
  MulWide, // d is twice as wide
  Mul24,
  Mul24High,
  Mad,
  MadHigh,
  MadWide, // c and d are twice as wide
  Sad,
  Div,
  Rem,
  Abs,
  Neg,
  Min,
  Max,
  MinRelu,
  MaxRelu,
  And,
  Or,
  Xor,
  Not,
  LogicalNot,
  ShiftLeft, // b has 32 bits
  ShiftRight,
  FunnelLeftWrap, // a is the low half
  FunnelLeftClamp,
  FunnelRightWrap,
  FunnelRightClamp,
  ExtractBits,  // b is the position, c the length
  InsertBits,   // of a into b; c is the position, f the length
  FindBit,      // d has 32 bits
  FindBitShift, // likewise
  CountLeadingZeros,
  CountOnes,
  Reverse,
  LogicTable, // f is a register with the table
  AddSaturated,
  SubSaturated,
  MadHighSaturated
};

enum class Compare : uint8_t { Eq, Ne, Lt, Le, Gt, Ge, Equ, Neu, Ltu, Leu, Gtu, Geu, Num, Nan };

// `immediate` of a comparison: how predicate c is combined with it; d is the result, e is that of the inverted
// comparison.
enum class Combine : uint8_t { None, And, Or, Xor };
constexpr uint64_t combineInverts = 16; // c is negated

enum class FloatOp : uint8_t {
  Add,
  Sub,
  Mul,
  Fma,
  Div,
  Rcp,
  Sqrt,
  Rsqrt,
  Exp2,
  Log2,
  Sin,
  Cos,
  Tanh,
  Min,
  Max,
  MinNan,
  MaxNan,
  Min3,
  Max3,
  Min3Nan,
  Max3Nan,
  MinXorsign,
  MaxXorsign,
  MinNanXorsign,
  MaxNanXorsign,
  Abs,
  Neg,
  CopySign // of a onto b
};

enum class Rounding : uint8_t { Nearest, Zero, Down, Up, NearestAway };

struct FloatMode {
  Rounding rounding = Rounding::Nearest;
  bool flushes = false, saturates = false, relu = false;
};

struct ConvertMode {
  // Of a float to a float of its own width, or to an integer: to an integral value.
  bool toIntegral = false;
  Rounding rounding = Rounding::Nearest;
  bool flushes = false, saturates = false, relu = false;
  bool saturatesFinite = false;
};

struct LaneHandlers {
  LaneHandler (*integer)(IntegerOp op, Type type);
  LaneHandler (*compareIntegers)(Compare compare, Type type);
  LaneHandler (*compareFloats)(Compare compare, Type type, bool flushes);
  // d = predicate c ? a : b, by the width of the type
  LaneHandler (*select)(Type type);
  LaneHandler (*floating)(FloatOp op, Type type, const FloatMode &mode);
  // Between integers and f16, bf16, f32, f64, rounded to nearest or, to integers, in any direction; null for others.
  // Where the result is integral, `immediate` has bit 0 if subnormals are flushed and bit 1 if it is saturated.
  LaneHandler (*convert)(Type to, Type from, const ConvertMode &mode);
  // c[m][n] += the sum over k of a[m][k] * b[k][n], `columns` a multiple of 8; the sum and the products in double.
  void (*product)(const float *a, const float *b, double *c, unsigned rows, unsigned columns, unsigned depth);
  void (*productIntegers)(const int32_t *a, const int32_t *b, int32_t *c, unsigned rows, unsigned columns,
                          unsigned depth);
};

const LaneHandlers &laneHandlers();

// Those that need no vectors. `immediate` is roundedFloatMode.
LaneHandler roundedFloatHandler(FloatOp op, Type type);
uint64_t roundedFloatMode(const FloatMode &mode);
// `immediate` is packMode, with `to` in bits 32 to 39 and `from` in bits 40 to 47. A pair is made of a (its high half)
// and b, or of another pair in a.
LaneHandler anyConvertHandler(Type to, Type from);
uint64_t packMode(const ConvertMode &mode);
ConvertMode unpackMode(uint64_t packed);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_LANES_LANES_H
