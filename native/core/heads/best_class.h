#pragma once

#include <cmath>
#include <limits>

#include "detection.h"

namespace edge_infer {

/// Cells whose best class is looked for together: their scores stay in the first-level cache meanwhile.
constexpr int kCellBlock = 512;

/// Where `scores[i]` is above `best[i]`, it and its class take the place. Whether all scores are numbers.
bool keep_best(const float* scores, int class_id, int count, float* best, int* best_class);

struct BestClass {
  int class_id = -1;
  float score = 0;
};

/// What is found where a score is NaN: refuse_impossible() says so.
inline constexpr Detection kNoNumber{0, 0, 0, 0, std::numeric_limits<float>::quiet_NaN(), 0};

/// The best class of a row `x, y, w, h, objectness, class scores…`, its score times the objectness.
/// `class_id` is -1 where none exceeds the threshold. NaN exceeds it.
inline BestClass best_class_of(const float* row, int class_count, const DetectionLimits& limits) {
  BestClass best;
  const float objectness = row[4];
  if (objectness <= limits.score_threshold) return best;
  best.score = limits.score_threshold;
  for (int class_id = 0; class_id < class_count; ++class_id) {
    const float score = objectness * row[5 + class_id];
    if (score <= best.score || !limits.keeps(class_id)) continue;
    best = {class_id, score};
    if (std::isnan(score)) break;
  }
  return best;
}

}  // namespace edge_infer
