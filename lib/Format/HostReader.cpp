#include "qcc/Format/HostReader.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

using namespace qcc;
using Value = Primitives::Value;

static uint32_t bitsOf(Value value) { return uint32_t(int32_t(value.number)); }
static Value fromBits(uint32_t bits) { return {nullptr, double(int32_t(bits))}; }
static Value fromFloat(float number) { return {nullptr, number}; }

Value HostReader::integer(int32_t value) { return fromBits(uint32_t(value)); }
Value HostReader::real(float value) { return fromFloat(value); }
Value HostReader::field(Value code, unsigned low, unsigned count) {
  return fromBits(bitsOf(code) >> low & llvm::maskTrailingOnes<uint32_t>(count));
}
Value HostReader::signExtend(Value code, unsigned count) {
  return fromBits(uint32_t(int32_t(bitsOf(code) << (32 - count)) >> (32 - count)));
}
Value HostReader::add(Value a, Value b) { return fromBits(bitsOf(a) + bitsOf(b)); }
Value HostReader::shiftLeft(Value a, unsigned n) { return fromBits(bitsOf(a) << n); }
Value HostReader::bitOr(Value a, Value b) { return fromBits(bitsOf(a) | bitsOf(b)); }
Value HostReader::bitAnd(Value a, uint32_t mask) { return fromBits(bitsOf(a) & mask); }
Value HostReader::asFloat(Value value) { return fromFloat(llvm::bit_cast<float>(bitsOf(value))); }
Value HostReader::toFloat(Value a) { return fromFloat(float(a.number)); }
Value HostReader::multiply(Value a, Value b) { return fromFloat(float(a.number) * float(b.number)); }
Value HostReader::halfToFloat(Value code) {
  llvm::APFloat number(llvm::APFloat::IEEEhalf(), llvm::APInt(16, bitsOf(code) & 0xffff));
  return fromFloat(number.convertToFloat());
}
Value HostReader::lookup(llvm::ArrayRef<float> table, Value index) { return fromFloat(table[bitsOf(index)]); }
Value HostReader::divide(Value a, Value b) { return fromFloat(float(a.number) / float(b.number)); }
Value HostReader::addFloats(Value a, Value b) { return fromFloat(float(a.number) + float(b.number)); }
Value HostReader::bits(Value x) { return fromBits(llvm::bit_cast<uint32_t>(float(x.number))); }
Value HostReader::isLess(Value a, Value b) { return fromBits(a.number < b.number); }
Value HostReader::isLessFloat(Value a, Value b) { return fromBits(a.number < b.number); }
Value HostReader::select(Value condition, Value then, Value otherwise) {
  return condition.number != 0 ? then : otherwise;
}
