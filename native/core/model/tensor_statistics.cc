#include "model/tensor_statistics.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace edge_infer {
namespace {

/// Even, and many more than the 256 levels that are chosen from them.
constexpr size_t kBins = 8192;
/// Of a tensor that has only zeros so far: bins a float can still count in.
constexpr float kMinRange = 1e-30f;

}  // namespace

void TensorStatistics::add(const TensorView& tensor) {
  const auto count = static_cast<size_t>(element_count(tensor.shape()));
  if (count == 0) return;
  const float* const values = tensor.data<float>();
  float low = values[0], high = values[0], zero = 0;
  for (size_t i = 0; i < count; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
    zero += values[i] * 0;
  }
  if (zero != 0) throw Error(ErrorCode::inference, "The model computes values that are not finite");
  const bool first = histogram_.empty();
  min_ = first ? low : std::min(min_, low);
  max_ = first ? high : std::max(max_, high);
  widen(std::max(std::fabs(low), std::fabs(high)));
  const float per_bin = kBins / 2 / range_;
  for (size_t i = 0; i < count; ++i) {
    const auto bin = static_cast<int>(values[i] * per_bin + kBins / 2);
    ++histogram_[static_cast<size_t>(std::clamp(bin, 0, static_cast<int>(kBins) - 1))];
  }
}

void TensorStatistics::widen(float magnitude) {
  if (histogram_.empty()) {
    histogram_.resize(kBins);
    range_ = std::max(magnitude, kMinRange);
  }
  while (range_ < magnitude) {
    std::vector<uint64_t> wider(kBins);
    for (size_t i = 0; i < kBins; ++i) wider[kBins / 4 + i / 2] += histogram_[i];
    histogram_ = std::move(wider);
    range_ *= 2;
  }
}

}  // namespace edge_infer
