// What a computation gives that may not apply or may fail: its value, or why there is none.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace qcc {

/// Why there is no result, for a message to the user.
struct Refusal {
  std::string reason;
};

template <typename T> class Result {
public:
  Result(T value) : stored(std::move(value)) {}
  Result(Refusal refusal) : why(std::move(refusal.reason)) {}

  explicit operator bool() const { return stored.has_value(); }
  T &operator*() { return *checked(); }
  const T &operator*() const { return *checked(); }
  T *operator->() { return checked(); }
  const T *operator->() const { return checked(); }
  /// Empty where there is a value.
  const std::string &reason() const { return why; }

private:
  T *checked() {
    assert(stored && "a refusal has no value");
    return stored ? &*stored : nullptr;
  }
  const T *checked() const { return const_cast<Result *>(this)->checked(); }

  std::optional<T> stored;
  std::string why;
};

} // namespace qcc
