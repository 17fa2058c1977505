#pragma once

#include "heads/grid.h"
#include "heads/head.h"

namespace edge_infer {

/// YOLOX exports: one output 1 × cells × (5 + classes); centre as an offset in cells, size as the logarithm of cells,
/// objectness and class scores after the sigmoid. Confidence is objectness × class score.
class YoloXHead : public DetectionHead {
 public:
  YoloXHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
              std::vector<Detection>& detections) const override;

 private:
  int class_count_;
  std::vector<GridCell> cells_;
};

}  // namespace edge_infer
