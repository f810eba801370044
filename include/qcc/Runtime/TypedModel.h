// What the headers that qcc_add_model() writes are made of: models with typed inputs and outputs over the C interface.
// C++17, no code of its own to link.
#ifndef QCC_RUNTIME_TYPEDMODEL_H
#define QCC_RUNTIME_TYPEDMODEL_H

#include "qcc/Runtime/qcc.h"

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace qcc {

/// What the runtime refused. Where a program is built without exceptions, it is printed and the program ends.
class Error : public std::runtime_error {
public:
  Error(int32_t code, const std::string &message, std::string node = {})
      : std::runtime_error(node.empty() ? message : message + " (node '" + node + "')"), code(code),
        node(std::move(node)) {}
  int32_t code; // a qcc1_status
  std::string node;
};

[[noreturn]] inline void fail(const Error &error) {
#ifdef __cpp_exceptions
  throw error;
#else
  std::fprintf(stderr, "qcc: %s\n", error.what());
  std::abort();
#endif
}

inline void check(qcc1_status status, const qcc1_error &error) {
  if (status != QCC1_OK)
    fail(Error(status, error.message, error.node));
}

/// Elements that stand one after another and belong to somebody else.
template <typename T> class Span {
public:
  constexpr Span() = default;
  constexpr Span(T *data, size_t size) : first(data), count(size) {}
  template <size_t N> constexpr Span(T (&array)[N]) : first(array), count(N) {}
  template <typename Container,
            typename = std::enable_if_t<std::is_convertible_v<decltype(std::declval<Container &>().data()), T *>>>
  constexpr Span(Container &&container) : first(container.data()), count(container.size()) {}

  constexpr T *data() const { return first; }
  constexpr size_t size() const { return count; }
  constexpr T *begin() const { return first; }
  constexpr T *end() const { return first + count; }
  constexpr T &operator[](size_t i) const { return first[i]; }

private:
  T *first = nullptr;
  size_t count = 0;
};

/// An input's elements in row-major order. `Value` describes the input: its name, element, type and dims, where a
/// dimension is -1 when it is known at run time only; then the caller says the dimensions.
template <typename Value> class Tensor {
public:
  using Element = typename Value::Element;
  using Dims = std::array<int64_t, Value::rank>;

  constexpr Tensor(Span<const Element> data, const Dims &dims) : data(data), dims(dims) {}
  template <typename Data, typename = std::enable_if_t<std::is_convertible_v<Data &&, Span<const Element>>>>
  constexpr Tensor(Data &&data) : data(std::forward<Data>(data)), dims(Value::dims) {
    static_assert(Value::isStatic, "this input's dimensions are not all known: give {data, {dimensions}}");
  }

  /// The tensor for the C interface; checked, because that reads as much as the dimensions say.
  DLTensor borrow() const {
    uint64_t count = 1;
    for (int64_t dim : dims) {
      if (dim < 0 || __builtin_mul_overflow(count, uint64_t(dim), &count))
        fail(Error(QCC1_ARGUMENT, std::string("input '") + Value::name + "': a dimension is negative or too large"));
    }
    if (count != data.size())
      fail(Error(QCC1_ARGUMENT, std::string("input '") + Value::name + "' has " + std::to_string(data.size()) +
                                    " elements, but its dimensions ask for " + std::to_string(count)));
    return {const_cast<Element *>(data.data()),
            {1, 0},
            int32_t(Value::rank),
            Value::type,
            const_cast<int64_t *>(dims.data()),
            nullptr,
            0};
  }

  Span<const Element> data;
  Dims dims;
};

/// An output's elements in row-major order, in memory of their own.
template <typename Value> class Result {
public:
  using Element = typename Value::Element;

  /// Takes over what a run gave.
  void adopt(DLManagedTensor *tensor) { owned.reset(tensor); }

  /// Refuses what an artifact with another signature than the header's gave.
  void verify() {
    const DLTensor &given = owned->dl_tensor;
    if (given.ndim != int32_t(Value::rank) || given.dtype.code != Value::type.code ||
        given.dtype.bits != Value::type.bits)
      fail(Error(QCC1_FILE, std::string("output '") + Value::name + "' is not what the header says; build again"));
    count = 1;
    for (size_t i = 0; i < Value::rank; ++i) {
      shape[i] = given.shape[i];
      count *= size_t(given.shape[i]);
    }
  }

  Span<const Element> data() const {
    return owned ? Span<const Element>(
                       reinterpret_cast<const Element *>(static_cast<const char *>(owned->dl_tensor.data) +
                                                         owned->dl_tensor.byte_offset),
                       count)
                 : Span<const Element>();
  }
  size_t size() const { return data().size(); }
  const std::array<int64_t, Value::rank> &dims() const { return shape; }
  const Element &operator[](size_t i) const { return data()[i]; }
  const Element *begin() const { return data().begin(); }
  const Element *end() const { return data().end(); }

private:
  struct End {
    void operator()(DLManagedTensor *tensor) const { tensor->deleter(tensor); }
  };
  std::unique_ptr<DLManagedTensor, End> owned;
  std::array<int64_t, Value::rank> shape{};
  size_t count = 0;
};

/// What one caller runs a model with. It grows its states (a key/value cache) with every run.
class TypedSession {
public:
  explicit TypedSession(qcc1_session *session) : owned(session) {}
  qcc1_session *handle() const { return owned.get(); }
  void reset() { qcc1_session_reset(handle()); }
  /// The positions that a state holds.
  int64_t length(size_t state = 0) const { return qcc1_session_length(handle(), state); }
  void truncate(int64_t length) {
    qcc1_error error = {sizeof(error), 0, {}, {}};
    check(qcc1_session_truncate(handle(), length, &error), error);
  }

protected:
  template <typename... In, typename... Out>
  void call(const std::tuple<const Tensor<In> &...> &inputs, const std::tuple<Result<Out> &...> &outputs) {
    // One more of each, because an array has elements.
    DLTensor tensors[sizeof...(In) + 1] = {std::get<const Tensor<In> &>(inputs).borrow()..., DLTensor{}};
    qcc1_input given[sizeof...(In) + 1] = {{In::name, nullptr}..., {nullptr, nullptr}};
    qcc1_output wanted[sizeof...(Out) + 1] = {{Out::name, nullptr}..., {nullptr, nullptr}};
    for (size_t i = 0; i < sizeof...(In); ++i)
      given[i].tensor = &tensors[i];
    qcc1_error error = {sizeof(error), 0, {}, {}};
    check(qcc1_session_run(handle(), given, sizeof...(In), wanted, sizeof...(Out), &error), error);
    [[maybe_unused]] size_t next = 0;
    (std::get<Result<Out> &>(outputs).adopt(wanted[next++].tensor), ...);
    (std::get<Result<Out> &>(outputs).verify(), ...);
  }

private:
  struct End {
    void operator()(qcc1_session *session) const { qcc1_session_close(session); }
  };
  std::unique_ptr<qcc1_session, End> owned;
};

/// An opened artifact. Sessions keep what they need of it.
template <typename Session> class TypedModel {
public:
  /// `device`: where sessions run, as in qcc1_model_options.
  explicit TypedModel(const std::string &path, const char *device = nullptr) {
    qcc1_error error = {sizeof(error), 0, {}, {}};
    qcc1_model_options options = {sizeof(options), nullptr, device};
    qcc1_model *model = nullptr;
    qcc1_status status = qcc1_model_open(path.c_str(), &options, &model, &error);
    owned.reset(model);
    check(status, error);
  }
  TypedModel(const void *data, size_t size, const char *device = nullptr) {
    qcc1_error error = {sizeof(error), 0, {}, {}};
    qcc1_model_options options = {sizeof(options), nullptr, device};
    qcc1_model *model = nullptr;
    qcc1_status status = qcc1_model_open_memory(data, size, &options, &model, &error);
    owned.reset(model);
    check(status, error);
  }

  qcc1_model *handle() const { return owned.get(); }
  const char *target() const { return qcc1_model_target(handle()); }
  /// `threads`: 0 for as many as the process may use.
  Session session(int32_t threads = 0) const {
    qcc1_session_options options = {sizeof(options), threads, nullptr, 0, 0};
    qcc1_error error = {sizeof(error), 0, {}, {}};
    qcc1_session *session = nullptr;
    check(qcc1_session_open(handle(), &options, &session, &error), error);
    return Session(session);
  }

private:
  struct End {
    void operator()(qcc1_model *model) const { qcc1_model_close(model); }
  };
  std::unique_ptr<qcc1_model, End> owned;
};

/// The path of a file that stands in the folder of the running program.
inline std::string besideProgram(const char *file) {
  char path[4096];
  ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  std::string program(path, size > 0 ? size_t(size) : 0);
  return program.substr(0, program.rfind('/') + 1) + file;
}

} // namespace qcc

#endif // QCC_RUNTIME_TYPEDMODEL_H
