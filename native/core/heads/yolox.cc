#include "heads/yolox.h"

#include <cmath>

#include "heads/best_class.h"
#include "heads/registry.h"

namespace edge_infer {

YoloXHead::YoloXHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs)
    : cells_(yolo_grid(parameters.input_width, parameters.input_height)) {
  const auto cells = static_cast<int64_t>(cells_.size());
  const bool fits = outputs.size() == 1 && outputs[0].shape.size() == 3 && outputs[0].shape[0] == 1 &&
                    outputs[0].shape[1] == cells && outputs[0].shape[2] > 5 &&
                    (parameters.class_count <= 0 || outputs[0].shape[2] == 5 + parameters.class_count);
  if (!fits) {
    refuse_outputs(parameters.family, {{"(cells)", std::to_string(cells)}, classes_of(parameters, 5)}, outputs);
  }
  class_count_ = static_cast<int>(outputs[0].shape[2]) - 5;
}

void YoloXHead::decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
                       std::vector<Detection>& detections) const {
  const float* row = outputs[0].data<float>();
  for (const GridCell& cell : cells_) {
    const BestClass best = best_class_of(row, class_count_, limits);
    if (best.class_id >= 0) {
      Detection detection{};
      set_corners((row[0] + cell.x) * cell.stride, (row[1] + cell.y) * cell.stride, std::exp(row[2]) * cell.stride,
                  std::exp(row[3]) * cell.stride, detection.x1, detection.y1, detection.x2, detection.y2);
      detection.score = best.score;
      detection.class_id = best.class_id;
      detections.push_back(detection);
    }
    row += 5 + class_count_;
  }
}

}  // namespace edge_infer
