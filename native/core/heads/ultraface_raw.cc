#include "heads/ultraface_raw.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "heads/grid.h"
#include "heads/registry.h"
#include "heads/ultraface.h"

namespace edge_infer {
namespace {

constexpr int kClasses = 2;
constexpr int kCoordinates = 4;

}  // namespace

UltraFaceRawHead::UltraFaceRawHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs) {
  const size_t count = ultraface_levels().size();
  bool fits = outputs.size() == 2 * count && parameters.class_count <= 1;
  std::vector<KnownSize> grids;
  for (size_t i = 0; i < count; ++i) {
    const UltraFaceLevel& level = ultraface_levels()[i];
    const auto priors = static_cast<int64_t>(level.sides.size());
    const int64_t rows = level.rows(parameters.input_height), columns = level.columns(parameters.input_width);
    const Shape classes{1, kClasses * priors, rows, columns}, offsets{1, kCoordinates * priors, rows, columns};
    fits = fits && outputs[i].shape == classes && outputs[count + i].shape == offsets;
    grids.emplace_back("(grid of " + std::to_string(level.stride) + ")", shape_text({rows, columns}));
    std::vector<Prior> clipped;
    for (const float side : level.sides) {
      clipped.push_back({std::min(side, static_cast<float>(parameters.input_width)),
                         std::min(side, static_cast<float>(parameters.input_height))});
    }
    levels_.push_back({std::move(clipped), static_cast<int>(columns), static_cast<int>(rows * columns),
                       static_cast<float>(parameters.input_width) / static_cast<float>(columns),
                       static_cast<float>(parameters.input_height) / static_cast<float>(rows)});
  }
  if (!fits) refuse_outputs(parameters.family, grids, outputs);
}

void UltraFaceRawHead::decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
                              std::vector<Detection>& detections) const {
  if (!limits.keeps(0)) return;
  // The softmax of two grows with their difference.
  const float least_difference = std::log(limits.score_threshold / (1 - limits.score_threshold));
  for (size_t i = 0; i < levels_.size(); ++i) {
    decode_level(levels_[i], outputs[i].data<float>(), outputs[levels_.size() + i].data<float>(), least_difference,
                 detections);
  }
}

void UltraFaceRawHead::decode_level(const Level& level, const float* classes, const float* offsets,
                                    float least_difference, std::vector<Detection>& detections) const {
  const auto cells = static_cast<size_t>(level.cell_count);
  for (size_t i = 0; i < level.priors.size(); ++i) {
    const Prior& prior = level.priors[i];
    const float* const background = classes + kClasses * i * cells;
    const float* const face = background + cells;
    const float* const box = offsets + kCoordinates * i * cells;
    for (int cell = 0; cell < level.cell_count; ++cell) {
      const float difference = face[cell] - background[cell];
      if (difference <= least_difference) continue;
      const float x = (static_cast<float>(cell % level.columns) + 0.5f) * level.cell_width;
      const float y = (static_cast<float>(cell / level.columns) + 0.5f) * level.cell_height;
      Detection detection{0, 0, 0, 0, sigmoid(difference), 0};
      set_corners(x + box[cell] * kCentreVariance * prior.width, y + box[cells + cell] * kCentreVariance * prior.height,
                  prior.width * std::exp(box[2 * cells + cell] * kSizeVariance),
                  prior.height * std::exp(box[3 * cells + cell] * kSizeVariance), detection.x1, detection.y1,
                  detection.x2, detection.y2);
      detections.push_back(detection);
    }
  }
}

}  // namespace edge_infer
