#include "model/model.h"

#include "error.h"

namespace edge_infer {
namespace {

/// The coarsest grid of the families that take any size.
constexpr int kSizeStep = 32;

int round_up(int side) { return (side + kSizeStep - 1) / kSizeStep * kSizeStep; }

}  // namespace

Model::Model(const ModelOptions& options, const Family& family) : family_(family), options_(options) {
  if (options.model_paths.empty())
    throw Error(ErrorCode::bad_option, "Expected at least one model file but received none");
  if (options.model_paths.size() > 1 && family.detects_objects()) {
    throw Error(ErrorCode::bad_option,
                std::string("Only head-pose models are averaged; the family ") + family.name + " takes one file");
  }
  ModelSignature signature = family.signature;
  if (options.calibration) signature.output_types = {ElementType::float32};
  for (const std::string& path : options.model_paths) {
    sessions_.push_back(std::make_unique<Session>(path, options.session, signature));
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
