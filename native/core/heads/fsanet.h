#pragma once

#include "heads/head.h"

namespace edge_infer {

/// FSA-Net: one output 1 × 3, yaw, pitch and roll in degrees.
class FsaNetHead : public HeadPoseHead {
 public:
  FsaNetHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  HeadPose decode(const std::vector<TensorView>& outputs) const override;
};

}  // namespace edge_infer
