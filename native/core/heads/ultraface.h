#pragma once

#include <vector>

#include "heads/head.h"

namespace edge_infer {

/// The offsets of a box from its prior are in units of these, as the family was trained.
constexpr float kCentreVariance = 0.1f;
constexpr float kSizeVariance = 0.2f;

/// One of the grids that UltraFace lays over its input: every cell has a prior of each side, in pixels of the input.
/// The cells divide the input evenly: where a side is no multiple of the stride, they are smaller than the stride.
/// No prior is larger than the input.
struct UltraFaceLevel {
  int stride;
  std::vector<float> sides;

  int columns(int input_width) const { return (input_width + stride - 1) / stride; }
  int rows(int input_height) const { return (input_height + stride - 1) / stride; }
};

inline const std::vector<UltraFaceLevel>& ultraface_levels() {
  static const std::vector<UltraFaceLevel> kLevels = {
      {8, {10, 16, 24}}, {16, {32, 48}}, {32, {64, 96}}, {64, {128, 192, 256}}};
  return kLevels;
}

/// UltraFace (version-slim and version-RFB, any baked size): `scores` 1 × priors × 2 (background, face) and
/// `boxes` 1 × priors × 4, either corners as fractions of the input, or offsets from the priors (variances .1 and .2).
class UltraFaceHead : public DetectionHead {
 public:
  UltraFaceHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  void inspect(const std::vector<TensorView>& outputs) override;
  void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
              std::vector<Detection>& detections) const override;

 private:
  struct Prior {
    float cx, cy, width, height;
  };

  static std::vector<Prior> make_priors(int input_width, int input_height);

  const Family& family_;
  float input_width_;
  float input_height_;
  std::optional<bool> boxes_decoded_;
  size_t scores_index_;
  size_t boxes_index_;
  std::vector<Prior> priors_;
};

}  // namespace edge_infer
