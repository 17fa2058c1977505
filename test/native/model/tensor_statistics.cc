#include <doctest/doctest.h>

#include <limits>
#include <numeric>
#include <vector>

#include "error.h"
#include "model/tensor_statistics.h"

using namespace edge_infer;

namespace {

void add(TensorStatistics& statistics, const std::vector<float>& values) {
  statistics.add({values.data(), {1, static_cast<int64_t>(values.size())}});
}

uint64_t count_between(const TensorStatistics& statistics, float low, float high) {
  const std::vector<uint64_t>& bins = statistics.histogram();
  const float width = 2 * statistics.range() / static_cast<float>(bins.size());
  uint64_t sum = 0;
  for (size_t i = 0; i < bins.size(); ++i) {
    const float middle = (static_cast<float>(i) + 0.5f) * width - statistics.range();
    if (middle >= low && middle < high) sum += bins[i];
  }
  return sum;
}

}  // namespace

TEST_CASE("statistics keep what was counted when later values lie far beyond it") {
  TensorStatistics statistics;
  add(statistics, {-1, -0.5f, 0, 0.25f, 0.25f, 1});
  add(statistics, {100, -3});
  CHECK(statistics.min() == -3);
  CHECK(statistics.max() == 100);
  CHECK(statistics.range() >= 100);
  CHECK(count_between(statistics, -1.1f, -0.9f) == 1);
  CHECK(count_between(statistics, 0.2f, 0.3f) == 2);
  CHECK(count_between(statistics, 99, 128) == 1);
  const auto& bins = statistics.histogram();
  CHECK(std::accumulate(bins.begin(), bins.end(), uint64_t{0}) == 8);
}

TEST_CASE("statistics refuse values that are not finite") {
  TensorStatistics statistics;
  CHECK_THROWS_AS(add(statistics, {1, std::numeric_limits<float>::quiet_NaN()}), Error);
  CHECK_THROWS_AS(add(statistics, {1, std::numeric_limits<float>::infinity()}), Error);
}
