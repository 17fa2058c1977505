#include "heads/yolox.h"

#include <cmath>

#include "heads/best_class.h"
#include "heads/registry.h"

namespace edge_infer {

YoloXHead::YoloXHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs)
    : family_(parameters.family),
      input_width_(static_cast<float>(parameters.input_width)),
      input_height_(static_cast<float>(parameters.input_height)),
      boxes_decoded_(parameters.boxes_decoded),
      cells_(yolo_grid(parameters.input_width, parameters.input_height)) {
  const auto cells = static_cast<int64_t>(cells_.size());
  const bool fits = outputs.size() == 1 && outputs[0].shape.size() == 3 && outputs[0].shape[0] == 1 &&
                    outputs[0].shape[1] == cells && outputs[0].shape[2] > 5 &&
                    (parameters.class_count <= 0 || outputs[0].shape[2] == 5 + parameters.class_count);
  if (!fits) {
    refuse_outputs(parameters.family, {{"(cells)", std::to_string(cells)}, classes_of(parameters, 5)}, outputs);
  }
  class_count_ = static_cast<int>(outputs[0].shape[2]) - 5;
}

void YoloXHead::inspect(const std::vector<TensorView>& outputs) {
  const float* const data = outputs[0].data<float>();
  const size_t columns = 5 + static_cast<size_t>(class_count_);
  for (size_t i = 0; i < cells_.size(); ++i) expect_scores(family_, data + i * columns + 4, columns - 4);
  if (!boxes_decoded_) boxes_decoded_ = looks_decoded(data);
}

/// Whether most cells, taken for offsets and logarithms, would put their centre more than half the input outside of it
/// or make a box four times its size. Pixels do so nearly everywhere, offsets nearly nowhere.
bool YoloXHead::looks_decoded(const float* row) const {
  const auto absurd = [](float offset, float position, float stride, float logarithm, float side) {
    return std::fabs((offset + position) * stride - side / 2) > side || logarithm > std::log(4 * side / stride);
  };
  size_t known = 0, impossible = 0;
  for (const GridCell& cell : cells_) {
    if (row[0] != 0 || row[1] != 0 || row[2] != 0 || row[3] != 0) {
      ++known;
      if (absurd(row[0], cell.x, cell.stride, row[2], input_width_) ||
          absurd(row[1], cell.y, cell.stride, row[3], input_height_)) {
        ++impossible;
      }
    }
    row += 5 + class_count_;
  }
  return 2 * impossible > known;
}

void YoloXHead::decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
                       std::vector<Detection>& detections) const {
  const float* row = outputs[0].data<float>();
  for (const GridCell& cell : cells_) {
    const BestClass best = best_class_of(row, class_count_, limits);
    if (best.class_id >= 0) {
      Detection detection{};
      if (boxes_decoded_.value_or(false)) {
        set_corners(row[0], row[1], row[2], row[3], detection.x1, detection.y1, detection.x2, detection.y2);
      } else {
        set_corners((row[0] + cell.x) * cell.stride, (row[1] + cell.y) * cell.stride, std::exp(row[2]) * cell.stride,
                    std::exp(row[3]) * cell.stride, detection.x1, detection.y1, detection.x2, detection.y2);
      }
      detection.score = best.score;
      detection.class_id = best.class_id;
      detections.push_back(detection);
    }
    row += 5 + class_count_;
  }
}

}  // namespace edge_infer
