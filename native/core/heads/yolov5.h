#pragma once

#include "heads/head.h"

namespace edge_infer {

/// YOLOv5 exports: one output 1 × cells × (5 + classes), three anchors a cell; centre, size (input pixels), objectness,
/// class scores. Confidence is objectness × class score.
class YoloV5Head : public DetectionHead {
 public:
  YoloV5Head(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  void inspect(const std::vector<TensorView>& outputs) override;
  void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
              std::vector<Detection>& detections) const override;

 private:
  const Family& family_;
  int class_count_;
  int anchor_count_;
};

}  // namespace edge_infer
