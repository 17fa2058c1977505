#pragma once

#include <memory>
#include <string>
#include <vector>

#include "detection.h"
#include "geometry.h"
#include "model/tensor.h"

namespace edge_infer {

/// What a head must know of its model.
struct HeadParameters {
  int input_width = 0;
  int input_height = 0;
  /// 0: whatever the tensors say.
  int class_count = 0;
  /// UltraFace: whether the boxes are corners already, or offsets from priors.
  bool boxes_decoded = true;
};

/// Turns the output tensors of a detection family into boxes in pixels of the network's input, before suppression.
class DetectionHead {
 public:
  virtual ~DetectionHead() = default;
  virtual void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
                      std::vector<Detection>& detections) const = 0;
};

/// Turns the output tensors of a head-pose family into degrees.
class HeadPoseHead {
 public:
  virtual ~HeadPoseHead() = default;
  virtual HeadPose decode(const std::vector<TensorView>& outputs) const = 0;
};

/// A head for a family, checked against the model's outputs (the shapes they really have for this input).
/// Throws MODEL_LOAD with the expected and the received shapes where they do not fit.
std::unique_ptr<DetectionHead> make_detection_head(const std::string& family, const HeadParameters& parameters,
                                                   const std::vector<TensorInfo>& outputs);
std::unique_ptr<HeadPoseHead> make_head_pose_head(const std::string& family, const std::vector<TensorInfo>& outputs);

bool is_detection_family(const std::string& family);
bool is_head_pose_family(const std::string& family);

/// Throws MODEL_LOAD: what the family expects of the outputs, and what the model has.
[[noreturn]] void refuse_outputs(const std::string& family, const std::string& expected,
                                 const std::vector<TensorInfo>& outputs);

}  // namespace edge_infer
