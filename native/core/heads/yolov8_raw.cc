#include "heads/yolov8_raw.h"

#include <algorithm>
#include <cmath>

#include "heads/best_class.h"
#include "heads/grid.h"
#include "heads/registry.h"

namespace edge_infer {
namespace {

constexpr int kSides = 4;
constexpr int kBins = 16;

/// The mean of the distribution over the bins of one side, in cells.
float expected_distance(const float* logits, int stride) {
  float values[kBins];
  for (int bin = 0; bin < kBins; ++bin) values[bin] = logits[static_cast<size_t>(bin) * stride];
  const float largest = *std::max_element(values, values + kBins);
  float sum = 0, weighted = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    const float weight = std::exp(values[bin] - largest);
    sum += weight;
    weighted += weight * static_cast<float>(bin);
  }
  return weighted / sum;
}

std::vector<KnownSize> known_sizes(const HeadParameters& parameters) {
  std::vector<KnownSize> sizes = {classes_of(parameters, 0)};
  for (const int stride : kYoloStrides) {
    sizes.emplace_back("(grid of " + std::to_string(stride) + ")",
                       shape_text({parameters.input_height / stride, parameters.input_width / stride}));
  }
  return sizes;
}

}  // namespace

YoloV8RawHead::YoloV8RawHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs) {
  const auto refuse = [&] { refuse_outputs(parameters.family, known_sizes(parameters), outputs); };
  if (outputs.size() != 2 * std::size(kYoloStrides) || outputs[1].shape.size() != 4) refuse();
  const int64_t classes = outputs[1].shape[1];
  if (classes < 1 || (parameters.class_count > 0 && classes != parameters.class_count)) refuse();
  class_count_ = static_cast<int>(classes);
  for (size_t i = 0; i < std::size(kYoloStrides); ++i) {
    const int stride = kYoloStrides[i];
    const int64_t rows = parameters.input_height / stride, columns = parameters.input_width / stride;
    if (outputs[2 * i].shape != Shape{1, kSides * kBins, rows, columns} ||
        outputs[2 * i + 1].shape != Shape{1, classes, rows, columns}) {
      refuse();
    }
    levels_.push_back({stride, static_cast<int>(columns), static_cast<int>(rows * columns)});
  }
}

void YoloV8RawHead::decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
                           std::vector<Detection>& detections) const {
  for (size_t i = 0; i < levels_.size(); ++i) {
    decode_level(levels_[i], outputs[2 * i].data<float>(), outputs[2 * i + 1].data<float>(), limits, detections);
  }
}

void YoloV8RawHead::decode_level(const Level& level, const float* boxes, const float* classes,
                                 const DetectionLimits& limits, std::vector<Detection>& detections) const {
  const float threshold = limits.score_threshold;
  // The sigmoid grows with its argument, so logits are compared with the threshold's own.
  const float least_logit = std::log(threshold / (1 - threshold));
  float best[kCellBlock];
  int best_class[kCellBlock];
  for (int first = 0; first < level.cell_count; first += kCellBlock) {
    const int count = std::min(kCellBlock, level.cell_count - first);
    std::fill(best, best + count, least_logit);
    std::fill(best_class, best_class + count, -1);
    for (int class_id = 0; class_id < class_count_; ++class_id) {
      if (!limits.keeps(class_id)) continue;
      const float* const logits = classes + static_cast<size_t>(class_id) * level.cell_count + first;
      if (!keep_best(logits, class_id, count, best, best_class)) detections.push_back(kNoNumber);
    }
    for (int i = 0; i < count; ++i) {
      if (best_class[i] < 0) continue;
      const int cell = first + i;
      const auto distance = [&](int side) {
        return expected_distance(boxes + static_cast<size_t>(side) * kBins * level.cell_count + cell, level.cell_count);
      };
      const float x = static_cast<float>(cell % level.columns) + 0.5f;
      const float y = static_cast<float>(cell / level.columns) + 0.5f;
      const auto stride = static_cast<float>(level.stride);
      detections.push_back({(x - distance(0)) * stride, (y - distance(1)) * stride, (x + distance(2)) * stride,
                            (y + distance(3)) * stride, sigmoid(best[i]), best_class[i]});
    }
  }
}

}  // namespace edge_infer
