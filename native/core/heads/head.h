#pragma once

#include <optional>
#include <vector>

#include "detection.h"
#include "geometry.h"
#include "model/tensor.h"

namespace edge_infer {

struct Family;

/// What a head must know of its model.
struct HeadParameters {
  const Family& family;
  int input_width = 0;
  int input_height = 0;
  /// 0: whatever the tensors say.
  int class_count = 0;
  /// YOLOX and UltraFace: whether the boxes are in pixels and corners already, or offsets from cells and priors.
  /// Absent: the values tell.
  std::optional<bool> boxes_decoded = std::nullopt;
};

/// Turns the output tensors of a detection family into boxes in pixels of the network's input, before suppression.
/// The constructor of each head takes the parameters and the outputs (with the shapes that they really have for this
/// input), and throws MODEL_LOAD where they do not fit.
class DetectionHead {
 public:
  virtual ~DetectionHead() = default;
  /// Looks once at all that the model answers for one picture: for what the shapes do not tell. Throws MODEL_LOAD for
  /// scores that cannot be any.
  virtual void inspect(const std::vector<TensorView>& outputs) { (void)outputs; }
  virtual void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
                      std::vector<Detection>& detections) const = 0;
};

/// Turns the output tensors of a head-pose family into degrees.
class HeadPoseHead {
 public:
  virtual ~HeadPoseHead() = default;
  virtual HeadPose decode(const std::vector<TensorView>& outputs) const = 0;
};

}  // namespace edge_infer
