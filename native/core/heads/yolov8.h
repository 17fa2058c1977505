#pragma once

#include "heads/head.h"

namespace edge_infer {

/// YOLOv8 and YOLO11 exports: one output 1 × (4 + classes) × cells; centre, size (input pixels), class scores.
class YoloV8Head : public DetectionHead {
 public:
  YoloV8Head(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  void inspect(const std::vector<TensorView>& outputs) override;
  void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
              std::vector<Detection>& detections) const override;

 private:
  const Family& family_;
  int class_count_;
  int cell_count_;
};

}  // namespace edge_infer
