#include "heads/ultraface.h"

#include <algorithm>
#include <cmath>

#include "heads/grid.h"
#include "heads/registry.h"

namespace edge_infer {
namespace {

bool has_shape(const TensorInfo& tensor, int64_t rows, int64_t columns) {
  return tensor.shape == Shape{1, rows, columns};
}

}  // namespace

std::vector<UltraFaceHead::Prior> UltraFaceHead::make_priors(int input_width, int input_height) {
  std::vector<Prior> priors;
  for (const UltraFaceLevel& level : ultraface_levels()) {
    const int columns = level.columns(input_width), rows = level.rows(input_height);
    for (int y = 0; y < rows; ++y) {
      for (int x = 0; x < columns; ++x) {
        for (const float side : level.sides) {
          priors.push_back({(x + 0.5f) / columns, (y + 0.5f) / rows, std::min(side / input_width, 1.f),
                            std::min(side / input_height, 1.f)});
        }
      }
    }
  }
  return priors;
}

UltraFaceHead::UltraFaceHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs)
    : family_(parameters.family),
      input_width_(static_cast<float>(parameters.input_width)),
      input_height_(static_cast<float>(parameters.input_height)),
      boxes_decoded_(parameters.boxes_decoded),
      priors_(make_priors(parameters.input_width, parameters.input_height)) {
  const auto count = static_cast<int64_t>(priors_.size());
  const bool scores_first = outputs.size() == 2 && has_shape(outputs[0], count, 2) && has_shape(outputs[1], count, 4);
  const bool boxes_first = outputs.size() == 2 && has_shape(outputs[0], count, 4) && has_shape(outputs[1], count, 2);
  if ((!scores_first && !boxes_first) || (parameters.class_count > 0 && parameters.class_count != 1)) {
    refuse_outputs(parameters.family, {{"(priors)", std::to_string(count)}}, outputs);
  }
  scores_index_ = scores_first ? 0 : 1;
  boxes_index_ = 1 - scores_index_;
}

/// Corners come in order; of offsets from priors, about a quarter do.
void UltraFaceHead::inspect(const std::vector<TensorView>& outputs) {
  expect_scores(family_, outputs[scores_index_].data<float>(), 2 * priors_.size());
  if (boxes_decoded_) return;
  size_t ordered = 0, known = 0;
  const float* box = outputs[boxes_index_].data<float>();
  for (size_t i = 0; i < priors_.size(); ++i, box += 4) {
    if (std::all_of(box, box + 4, [](float side) { return side == 0; })) continue;
    ++known;
    if (box[2] > box[0] && box[3] > box[1]) ++ordered;
  }
  boxes_decoded_ = 2 * ordered >= known;
}

void UltraFaceHead::decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
                           std::vector<Detection>& detections) const {
  if (!limits.keeps(0)) return;
  const float* const scores = outputs[scores_index_].data<float>();
  const float* const boxes = outputs[boxes_index_].data<float>();
  for (size_t i = 0; i < priors_.size(); ++i) {
    const float score = scores[2 * i + 1];
    if (score <= limits.score_threshold) continue;
    const float* const box = boxes + 4 * i;
    Detection detection{box[0], box[1], box[2], box[3], score, 0};
    if (!boxes_decoded_.value_or(true)) {
      const Prior& prior = priors_[i];
      set_corners(prior.cx + box[0] * kCentreVariance * prior.width, prior.cy + box[1] * kCentreVariance * prior.height,
                  prior.width * std::exp(box[2] * kSizeVariance), prior.height * std::exp(box[3] * kSizeVariance),
                  detection.x1, detection.y1, detection.x2, detection.y2);
    }
    detection.x1 *= input_width_;
    detection.x2 *= input_width_;
    detection.y1 *= input_height_;
    detection.y2 *= input_height_;
    detections.push_back(detection);
  }
}

}  // namespace edge_infer
