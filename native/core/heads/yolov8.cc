#include "heads/yolov8.h"

#include <algorithm>

#include "heads/best_class.h"
#include "heads/grid.h"
#include "heads/registry.h"

namespace edge_infer {

YoloV8Head::YoloV8Head(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs)
    : family_(parameters.family) {
  const int64_t cells = yolo_cell_count(parameters.input_width, parameters.input_height);
  const bool fits = outputs.size() == 1 && outputs[0].shape.size() == 3 && outputs[0].shape[0] == 1 &&
                    outputs[0].shape[1] > 4 && outputs[0].shape[2] == cells &&
                    (parameters.class_count <= 0 || outputs[0].shape[1] == 4 + parameters.class_count);
  if (!fits) {
    refuse_outputs(parameters.family, {{"(cells)", std::to_string(cells)}, classes_of(parameters, 4)}, outputs);
  }
  class_count_ = static_cast<int>(outputs[0].shape[1]) - 4;
  cell_count_ = static_cast<int>(cells);
}

void YoloV8Head::inspect(const std::vector<TensorView>& outputs) {
  const float* const scores = outputs[0].data<float>() + static_cast<size_t>(4) * cell_count_;
  expect_scores(family_, scores, static_cast<size_t>(class_count_) * cell_count_);
}

void YoloV8Head::decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
                        std::vector<Detection>& detections) const {
  const float* const data = outputs[0].data<float>();
  float best[kCellBlock];
  int best_class[kCellBlock];
  for (int first = 0; first < cell_count_; first += kCellBlock) {
    const int count = std::min(kCellBlock, cell_count_ - first);
    std::fill(best, best + count, limits.score_threshold);
    std::fill(best_class, best_class + count, -1);
    for (int class_id = 0; class_id < class_count_; ++class_id) {
      if (!limits.keeps(class_id)) continue;
      const float* const scores = data + static_cast<size_t>(4 + class_id) * cell_count_ + first;
      if (!keep_best(scores, class_id, count, best, best_class)) detections.push_back(kNoNumber);
    }
    for (int i = 0; i < count; ++i) {
      if (best_class[i] < 0) continue;
      const float* const box = data + first + i;
      const auto value = [&](int row) { return box[static_cast<size_t>(row) * cell_count_]; };
      Detection detection{};
      set_corners(value(0), value(1), value(2), value(3), detection.x1, detection.y1, detection.x2, detection.y2);
      detection.score = best[i];
      detection.class_id = best_class[i];
      detections.push_back(detection);
    }
  }
}

}  // namespace edge_infer
