#pragma once

#include "heads/head.h"

namespace edge_infer {

/// Hopenet: three outputs 1 × 66 (yaw, pitch, roll), each a distribution over bins of 3° that begin at -99°.
class HopenetHead : public HeadPoseHead {
 public:
  HopenetHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs);
  HeadPose decode(const std::vector<TensorView>& outputs) const override;
};

}  // namespace edge_infer
