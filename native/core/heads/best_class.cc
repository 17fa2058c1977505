#include "heads/best_class.h"

#include "vectorize.h"

namespace edge_infer {

EDGE_INFER_VECTORIZE
bool keep_best(const float* scores, int class_id, int count, float* best, int* best_class) {
  int unordered = 0;
  for (int i = 0; i < count; ++i) {
    const bool better = scores[i] > best[i];
    best[i] = better ? scores[i] : best[i];
    best_class[i] = better ? class_id : best_class[i];
    unordered |= static_cast<int>(scores[i] != scores[i]);
  }
  return unordered == 0;
}

}  // namespace edge_infer
