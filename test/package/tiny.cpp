// Runs a model of two inputs, one of which has a dimension known at run time only, and prints its outputs.
#include HEADER

#include <cstdio>
#include <string_view>
#include <vector>

using namespace nets;

static_assert(std::string_view(tiny::in::shift_1::name) == "shift.1" && tiny::in::shift_1::isStatic);
static_assert(tiny::in::x::rank == 2 && tiny::in::x::dims[0] == -1 && tiny::in::x::dims[1] == 4);
static_assert(std::string_view(tiny::in::x::symbols[0]) == "n");
static_assert(std::is_same_v<tiny::out::class_::Element, std::int64_t> && tiny::states.empty());

int main() {
  tiny::Model model = tiny::open();
  tiny::Session session = model.session(1);
  std::vector<float> x(8);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = float(i);
  const float shift[] = {0.5f, 0, -0.5f};

  tiny::Outputs outputs = session.run({{x, {2, 4}}, shift});
  std::printf("%lld x %lld:", static_cast<long long>(outputs.y.dims()[0]), static_cast<long long>(outputs.y.dims()[1]));
  for (float value : outputs.y.data())
    std::printf(" %g", value);
  std::printf("\nclasses: %lld %lld\n", static_cast<long long>(outputs.class_[0]),
              static_cast<long long>(outputs.class_[1]));

  try {
    session.run({{x, {3, 4}}, shift});
  } catch (const qcc::Error &error) {
    std::printf("%s\n", error.what());
    return 0;
  }
  return 1;
}
