#pragma once

#include "heads/head.h"

namespace edge_infer {

/// YOLOv8 cut before its decode: for each stride of 8, 16 and 32 the box logits 1 × 64 × h × w (left, top, right,
/// bottom, 16 bins each) and the class logits 1 × classes × h × w. Only cells that pass the threshold are decoded.
class YoloV8RawHead : public DetectionHead {
 public:
  YoloV8RawHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
              std::vector<Detection>& detections) const override;

 private:
  struct Level {
    int stride;
    int columns;
    int cell_count;
  };

  void decode_level(const Level& level, const float* boxes, const float* classes, const DetectionLimits& limits,
                    std::vector<Detection>& detections) const;

  std::vector<Level> levels_;
  int class_count_ = 0;
};

}  // namespace edge_infer
