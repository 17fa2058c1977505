#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace edge_infer {

using Shape = std::vector<int64_t>;

/// `1x84x8400`; an open dimension is written `?`.
std::string shape_text(const Shape& shape);

/// Number of elements of a shape without open dimensions.
int64_t element_count(const Shape& shape);

struct TensorInfo {
  std::string name;
  std::string type;
  Shape shape;
};

/// A float tensor somebody else owns.
struct TensorView {
  const float* data = nullptr;
  Shape shape;
};

}  // namespace edge_infer
