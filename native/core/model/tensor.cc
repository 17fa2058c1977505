#include "model/tensor.h"

namespace edge_infer {

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const int64_t side : shape) {
    if (!text.empty()) text += 'x';
    text += side < 0 ? "?" : std::to_string(side);
  }
  return text.empty() ? "scalar" : text;
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  return count;
}

}  // namespace edge_infer
