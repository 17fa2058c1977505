#pragma once

#include "heads/head.h"

namespace edge_infer {

/// UltraFace (version-slim and version-RFB, any baked size): `scores` 1 × priors × 2 (background, face) and
/// `boxes` 1 × priors × 4, either corners as fractions of the input, or offsets from the priors (variances .1 and .2).
class UltraFaceHead : public DetectionHead {
 public:
  UltraFaceHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
              std::vector<Detection>& detections) const override;

 private:
  struct Prior {
    float cx, cy, width, height;
  };

  static std::vector<Prior> make_priors(int input_width, int input_height);

  float input_width_;
  float input_height_;
  bool boxes_decoded_;
  size_t scores_index_;
  size_t boxes_index_;
  std::vector<Prior> priors_;
};

}  // namespace edge_infer
