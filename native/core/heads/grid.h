#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace edge_infer {

/// The strides at which the YOLO families lay their grids over the input.
constexpr int kYoloStrides[] = {8, 16, 32};

struct GridCell {
  float x, y, stride;
};

/// The cells of all grids in the order of the output tensors: finest grid first, row by row.
inline std::vector<GridCell> yolo_grid(int input_width, int input_height) {
  std::vector<GridCell> cells;
  for (const int stride : kYoloStrides) {
    for (int y = 0; y < input_height / stride; ++y) {
      for (int x = 0; x < input_width / stride; ++x) {
        cells.push_back({static_cast<float>(x), static_cast<float>(y), static_cast<float>(stride)});
      }
    }
  }
  return cells;
}

/// Number of cells of all grids.
inline int64_t yolo_cell_count(int input_width, int input_height) {
  int64_t count = 0;
  for (const int stride : kYoloStrides) count += static_cast<int64_t>(input_height / stride) * (input_width / stride);
  return count;
}

/// Infinity stays what it is: no model answers it.
inline float sigmoid(float logit) { return std::isinf(logit) ? logit : 1 / (1 + std::exp(-logit)); }

/// A box given by centre and size.
inline void set_corners(float cx, float cy, float width, float height, float& x1, float& y1, float& x2, float& y2) {
  x1 = cx - width / 2;
  y1 = cy - height / 2;
  x2 = cx + width / 2;
  y2 = cy + height / 2;
}

}  // namespace edge_infer
