#include "heads/best_class.h"

#include "vectorize.h"

namespace edge_infer {

EDGE_INFER_VECTORIZE
void keep_best(const float* scores, int class_id, int count, float* best, int* best_class) {
  for (int i = 0; i < count; ++i) {
    const bool better = scores[i] > best[i];
    best[i] = better ? scores[i] : best[i];
    best_class[i] = better ? class_id : best_class[i];
  }
}

}  // namespace edge_infer
