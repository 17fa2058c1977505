#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "heads/registry.h"
#include "image/letterbox.h"
#include "model/session.h"

namespace edge_infer {

struct ModelOptions {
  std::vector<std::string> model_paths;
  std::string family;
  Preprocessing preprocessing;
  int class_count = 0;
  /// As in HeadParameters.
  std::optional<bool> boxes_decoded = std::nullopt;
  /// Where the model takes any size: give each frame the smallest input that holds it, letterboxed into the input size.
  bool rectangular = false;
  /// For Pipeline::calibrate only: the outputs may be any float32 tensors.
  bool calibration = false;
  SessionOptions session;
};

/// Which input a frame is given.
struct InputSizing {
  /// The size for a frame of that size: at most `largest`, but for what rounding up adds.
  InputSize for_frame(int frame_width, int frame_height) const;

  InputSize largest;
  ResizeMode resize = ResizeMode::stretch;
  /// The smallest that holds the frame.
  bool rectangular = false;
};

/// The sessions of one model (several files of one family are averaged), shared by the pipelines that run it.
class Model {
 public:
  /// Throws MODEL_LOAD, PROVIDER_UNAVAILABLE, BAD_OPTION.
  explicit Model(const ModelOptions& options) : Model(options, find_family(options.family)) {}
  /// Of a family that need not be registered and outlives the model.
  Model(const ModelOptions& options, const Family& family);

  const Family& family() const { return family_; }
  const ModelOptions& options() const { return options_; }
  const std::vector<std::unique_ptr<Session>>& sessions() const { return sessions_; }

  /// The largest input.
  InputSize input_size() const { return sessions_.front()->input_size(); }
  InputSizing input_sizing() const;
  /// The input for a frame of that size.
  InputSize input_size_for(int frame_width, int frame_height) const {
    return input_sizing().for_frame(frame_width, frame_height);
  }

 private:
  const Family& family_;
  ModelOptions options_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

}  // namespace edge_infer
