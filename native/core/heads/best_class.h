#pragma once

namespace edge_infer {

/// Cells whose best class is looked for together: their scores stay in the first-level cache meanwhile.
constexpr int kCellBlock = 512;

/// Where `scores[i]` is above `best[i]`, it and its class take the place.
void keep_best(const float* scores, int class_id, int count, float* best, int* best_class);

}  // namespace edge_infer
