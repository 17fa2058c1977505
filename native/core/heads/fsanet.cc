#include "heads/fsanet.h"

namespace edge_infer {

FsaNetHead::FsaNetHead(const std::vector<TensorInfo>& outputs) {
  if (outputs.size() != 1 || outputs[0].shape != Shape{1, 3}) {
    refuse_outputs("fsanet", "1x3 (yaw, pitch, roll)", outputs);
  }
}

HeadPose FsaNetHead::decode(const std::vector<TensorView>& outputs) const {
  return {outputs[0].data[0], outputs[0].data[1], outputs[0].data[2]};
}

}  // namespace edge_infer
