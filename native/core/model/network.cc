#include "model/network.h"

#include <algorithm>

namespace edge_infer {
namespace {

/// Cameras send frames of one size; more sizes than this are made again when they come again.
constexpr size_t kKeptNetworks = 8;

size_t input_length(const Model& model) {
  // A frame may fill either side of the largest input, rounded up.
  const InputSize size = model.input_size();
  const InputSize wide = model.input_size_for(size.width, 1), tall = model.input_size_for(1, size.height);
  return size_t{3} * std::max(size.width, wide.width) * std::max(size.height, tall.height);
}

}  // namespace

Network::Network(const Model& model, InputSize input_size, float* input)
    : size(input_size), writer_(model.options().preprocessing, input_size.width, input_size.height), input_(input) {
  const ModelOptions& options = model.options();
  executions.reserve(model.sessions().size());
  for (const auto& session : model.sessions()) executions.emplace_back(*session, input, input_size);
  if (options.calibration) return;
  const Family& family = model.family();
  const HeadParameters parameters{family, size.width, size.height, options.class_count, options.boxes_decoded};
  if (family.detects_objects()) {
    detection_head = std::get<MakeDetectionHead>(family.make_head)(parameters, executions[0].outputs());
    detection_head->inspect(executions[0].views());
    return;
  }
  for (const Execution& execution : executions) {
    head_pose_head = std::get<MakeHeadPoseHead>(family.make_head)(parameters, execution.outputs());
  }
}

Placement Network::write(const Frame& frame) {
  for (Execution& execution : executions) {
    execution.set_extra_inputs({size.width, size.height, frame.width, frame.height});
  }
  return writer_.write(frame, input_);
}

Networks::Networks(const Model& model) : model_(model), input_(input_length(model)) { largest(); }

Network& Networks::for_frame(int width, int height) { return for_size(model_.input_size_for(width, height)); }

Network& Networks::for_size(InputSize size) {
  const auto found =
      std::find_if(networks_.begin(), networks_.end(), [&](const Network& network) { return network.size == size; });
  if (found != networks_.end()) {
    networks_.splice(networks_.begin(), networks_, found);
  } else {
    networks_.emplace_front(model_, size, input_.data());
    if (networks_.size() > kKeptNetworks) networks_.pop_back();
  }
  return networks_.front();
}

}  // namespace edge_infer
