#include "model/model.h"

#include "error.h"
#include "heads/head.h"

namespace edge_infer {
namespace {

/// The coarsest grid of the families that take any size.
constexpr int kSizeStep = 32;

int round_up(int side) { return (side + kSizeStep - 1) / kSizeStep * kSizeStep; }

}  // namespace

Model::Model(const ModelOptions& options) : options_(options) {
  if (!is_detection_family(options.family) && !is_head_pose_family(options.family)) {
    throw Error(ErrorCode::bad_option,
                "Expected a model family (yolov8, yolov8-raw, yolov5, yolox, ultraface, "
                "ultraface-raw, hopenet, fsanet) but received " +
                    options.family);
  }
  if (options.model_paths.empty())
    throw Error(ErrorCode::bad_option, "Expected at least one model file but received none");
  if (options.model_paths.size() > 1 && !is_head_pose_family(options.family)) {
    throw Error(ErrorCode::bad_option,
                "Only head-pose models are averaged; the family " + options.family + " takes one file");
  }
  for (const std::string& path : options.model_paths) {
    sessions_.push_back(std::make_unique<Session>(path, options.session));
    if (!(sessions_.front()->input_size() == sessions_.back()->input_size())) {
      throw Error(ErrorCode::model_load, "Models that are averaged must have inputs of one size");
    }
  }
  const InputSize size = input_size();
  const bool whole_cells = size.width % kSizeStep == 0 && size.height % kSizeStep == 0;
  if (sessions_.front()->takes_any_size() && options.preprocessing.resize != ResizeMode::stretch && !whole_cells) {
    throw Error(ErrorCode::bad_option, "Expected an input size in steps of " + std::to_string(kSizeStep) +
                                           " pixels but received " + std::to_string(size.width) + " x " +
                                           std::to_string(size.height));
  }
}

InputSizing Model::input_sizing() const {
  const ResizeMode resize = options_.preprocessing.resize;
  return {input_size(), resize,
          options_.rectangular && resize != ResizeMode::stretch && sessions_.front()->takes_any_size()};
}

InputSize InputSizing::for_frame(int frame_width, int frame_height) const {
  if (!rectangular) return largest;
  const Placement content = place(resize, frame_width, frame_height, largest.width, largest.height);
  return {round_up(content.width), round_up(content.height)};
}

}  // namespace edge_infer
