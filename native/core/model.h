#pragma once

#include <memory>
#include <string>
#include <vector>

#include "letterbox.h"
#include "session.h"

namespace edge_infer {

struct ModelOptions {
  std::vector<std::string> model_paths;
  std::string family;
  Preprocessing preprocessing;
  int class_count = 0;
  bool boxes_decoded = true;
  /// Where the model takes any size: give each frame the smallest input that holds it, letterboxed into the input size.
  bool rectangular = false;
  /// The outputs are only looked at (Pipeline::observe): any number of float tensors will do.
  bool observed = false;
  SessionOptions session;
};

/// The sessions of one model (several files of one family are averaged), shared by the pipelines that run it.
class Model {
 public:
  /// Throws MODEL_LOAD, PROVIDER_UNAVAILABLE, BAD_OPTION.
  explicit Model(const ModelOptions& options);

  const ModelOptions& options() const { return options_; }
  const std::vector<std::unique_ptr<Session>>& sessions() const { return sessions_; }

  /// The largest input.
  InputSize input_size() const { return sessions_.front()->input_size(); }
  /// The input for a frame of that size.
  InputSize input_size_for(int frame_width, int frame_height) const;

 private:
  bool rectangular() const;

  ModelOptions options_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

}  // namespace edge_infer
