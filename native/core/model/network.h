#pragma once

#include <list>
#include <memory>
#include <vector>

#include "image/letterbox.h"
#include "model/model.h"
#include "model/session.h"

namespace edge_infer {

/// A model made ready for inputs of one size: what writes them, runs them and reads the outputs.
struct Network {
  Network(const Model& model, InputSize input_size, float* input);

  /// Writes a frame to the inputs of the next run.
  Placement write(const Frame& frame);

  InputSize size;
  /// One a file of the model.
  std::vector<Execution> executions;
  /// Which of the two depends on the model's family.
  std::unique_ptr<DetectionHead> detection_head;
  std::unique_ptr<HeadPoseHead> head_pose_head;

 private:
  InputWriter writer_;
  float* input_;
};

/// The networks of one thread. They share one input buffer; those of the sizes last used are kept.
class Networks {
 public:
  /// Makes the network of the model's own size, which runs the model once.
  explicit Networks(const Model& model);

  /// The network for a frame of that size.
  Network& for_frame(int width, int height);
  /// The network of the model's own size.
  Network& largest() { return for_size(model_.input_size()); }

 private:
  Network& for_size(InputSize size);

  const Model& model_;
  std::vector<float> input_;
  /// Last used first.
  std::list<Network> networks_;
};

}  // namespace edge_infer
