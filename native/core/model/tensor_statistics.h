#pragma once

#include <cstdint>
#include <vector>

#include "model/tensor.h"

namespace edge_infer {

/// How the values of one tensor are spread over the pictures a model was run on. Takes no more memory for more
/// pictures.
class TensorStatistics {
 public:
  /// Throws INFERENCE when a value is not finite.
  void add(const TensorView& tensor);

  float min() const { return min_; }
  float max() const { return max_; }
  /// Values in each of the equal bins from `-range()` to `range()`; twice as wide whenever a value lies beyond them.
  const std::vector<uint64_t>& histogram() const { return histogram_; }
  float range() const { return range_; }

 private:
  void widen(float magnitude);

  float min_ = 0;
  float max_ = 0;
  float range_ = 0;
  std::vector<uint64_t> histogram_;
};

}  // namespace edge_infer
