#pragma once

#include "heads/grid.h"
#include "heads/head.h"

namespace edge_infer {

/// YOLOX exports: one output 1 × cells × (5 + classes); centre as an offset in cells, size as the logarithm of cells
/// (or both in pixels of the input, where the export decodes them), objectness and class scores after the sigmoid.
/// Confidence is objectness × class score.
class YoloXHead : public DetectionHead {
 public:
  YoloXHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  void inspect(const std::vector<TensorView>& outputs) override;
  void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
              std::vector<Detection>& detections) const override;

 private:
  bool looks_decoded(const float* row) const;

  const Family& family_;
  float input_width_;
  float input_height_;
  std::optional<bool> boxes_decoded_;
  int class_count_;
  std::vector<GridCell> cells_;
};

}  // namespace edge_infer
