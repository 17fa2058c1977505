#include "heads/yolov5.h"

#include <algorithm>

#include "heads/best_class.h"
#include "heads/grid.h"
#include "heads/registry.h"

namespace edge_infer {
namespace {

constexpr int kAnchorsPerCell = 3;

/// Exports that also carry the raw grids put the joined output first. Any other output is not one of this family: the
/// masks of a segmentation model, say.
bool is_raw_grid(const TensorInfo& output, int64_t columns) {
  return output.shape.size() == 5 && output.shape[1] == kAnchorsPerCell && output.shape[4] == columns;
}

}  // namespace

YoloV5Head::YoloV5Head(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs)
    : family_(parameters.family) {
  const int64_t anchors = kAnchorsPerCell * yolo_cell_count(parameters.input_width, parameters.input_height);
  const bool fits = !outputs.empty() && outputs[0].shape.size() == 3 && outputs[0].shape[0] == 1 &&
                    outputs[0].shape[1] == anchors && outputs[0].shape[2] > 5 &&
                    (parameters.class_count <= 0 || outputs[0].shape[2] == 5 + parameters.class_count) &&
                    std::all_of(outputs.begin() + 1, outputs.end(),
                                [&](const TensorInfo& other) { return is_raw_grid(other, outputs[0].shape[2]); });
  if (!fits) {
    refuse_outputs(parameters.family, {{"(anchors)", std::to_string(anchors)}, classes_of(parameters, 5)}, outputs);
  }
  class_count_ = static_cast<int>(outputs[0].shape[2]) - 5;
  anchor_count_ = static_cast<int>(anchors);
}

void YoloV5Head::inspect(const std::vector<TensorView>& outputs) {
  const float* row = outputs[0].data<float>();
  for (int i = 0; i < anchor_count_; ++i, row += 5 + class_count_) expect_scores(family_, row + 4, 1 + class_count_);
}

void YoloV5Head::decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
                        std::vector<Detection>& detections) const {
  const float* row = outputs[0].data<float>();
  for (int i = 0; i < anchor_count_; ++i, row += 5 + class_count_) {
    const BestClass best = best_class_of(row, class_count_, limits);
    if (best.class_id < 0) continue;
    Detection detection{};
    set_corners(row[0], row[1], row[2], row[3], detection.x1, detection.y1, detection.x2, detection.y2);
    detection.score = best.score;
    detection.class_id = best.class_id;
    detections.push_back(detection);
  }
}

}  // namespace edge_infer
