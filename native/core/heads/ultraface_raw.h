#pragma once

#include "heads/head.h"

namespace edge_infer {

/// UltraFace cut before its decode: for each stride of 8, 16, 32 and 64 the class logits 1 × 2n × h × w (background and
/// face of each of n priors a cell), then for each the offsets 1 × 4n × h × w. Only priors that pass the threshold are
/// decoded.
class UltraFaceRawHead : public DetectionHead {
 public:
  UltraFaceRawHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
              std::vector<Detection>& detections) const override;

 private:
  /// Pixels of the input.
  struct Prior {
    float width, height;
  };

  struct Level {
    std::vector<Prior> priors;
    int columns;
    int cell_count;
    float cell_width;
    float cell_height;
  };

  void decode_level(const Level& level, const float* classes, const float* offsets, float least_difference,
                    std::vector<Detection>& detections) const;

  std::vector<Level> levels_;
};

}  // namespace edge_infer
