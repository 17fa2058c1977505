#include "heads/fsanet.h"

#include "heads/registry.h"

namespace edge_infer {

FsaNetHead::FsaNetHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs) {
  if (outputs.size() != 1 || outputs[0].shape != Shape{1, 3}) refuse_outputs(parameters.family, {}, outputs);
}

HeadPose FsaNetHead::decode(const std::vector<TensorView>& outputs) const {
  const float* const angles = outputs[0].data<float>();
  return {angles[0], angles[1], angles[2]};
}

}  // namespace edge_infer
