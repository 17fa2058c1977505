#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cancellation.h"
#include "heads/head.h"
#include "image.h"
#include "letterbox.h"
#include "session.h"
#include "wire_image.h"

namespace edge_infer {

/// Milliseconds of each stage of one call.
struct StageTimings {
  double decode = 0;
  double preprocess = 0;
  double inference = 0;
  double postprocess = 0;
  double encode = 0;
};

/// An image as it was given: a file, raw pixels, or the text of one JSON value. The bytes belong to the caller.
struct ImageSource {
  enum class Kind { encoded, raw, json } kind = Kind::encoded;
  ByteView data;
  int width = 0;
  int height = 0;
  int channels = 3;
  ChannelOrder order = ChannelOrder::bgr;
};

/// Decodes any source. `request` lets JPEG files be decoded smaller.
WireImage read_image(const ImageSource& source, const DecodeRequest& request);

struct ModelOptions {
  std::vector<std::string> model_paths;
  std::string family;
  Preprocessing preprocessing;
  int class_count = 0;
  bool boxes_decoded = true;
  SessionOptions session;
};

struct DetectOptions {
  DetectionLimits limits;
  bool full_decode = false;
  struct Crops {
    double margin = 0.3;
    int quality = 95;
  };
  std::optional<Crops> crops;
};

struct DetectResult {
  int width = 0;
  int height = 0;
  WireForm form = WireForm::encoded;
  std::vector<Detection> detections;
  /// A JPEG file of each detection, when crops were asked for.
  std::optional<std::vector<Bytes>> crops;
  StageTimings timings;
};

struct Box {
  double x1, y1, x2, y2;
};

struct HeadPoseOptions {
  /// Boxes in the one image; absent: each image is a face, used whole.
  std::optional<std::vector<Box>> boxes;
  double margin = 0.3;
};

struct HeadPoseResult {
  /// Of each image.
  std::vector<cv::Size> sizes;
  WireForm form = WireForm::encoded;
  std::vector<HeadPose> poses;
  StageTimings timings;
};

/// The sessions of one model (several files of one family are averaged), shared by the pipelines that run it.
class Model {
 public:
  /// Throws MODEL_LOAD, PROVIDER_UNAVAILABLE, BAD_OPTION.
  explicit Model(const ModelOptions& options);

  const ModelOptions& options() const { return options_; }
  const std::vector<std::unique_ptr<Session>>& sessions() const { return sessions_; }

 private:
  ModelOptions options_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

/// Frame in, results out, on one thread at a time, with buffers of its own. Runs the model once when made, so that the
/// first request is not slower than the rest.
class Pipeline {
 public:
  explicit Pipeline(Model& model);

  DetectResult detect(const ImageSource& image, const DetectOptions& options, Cancellation& cancellation);
  HeadPoseResult head_pose(const std::vector<ImageSource>& images, const HeadPoseOptions& options,
                           Cancellation& cancellation);

 private:
  void write_face(const Frame& frame, const cv::Rect& area);
  HeadPose pose_of_input(Cancellation& cancellation, StageTimings& timings);
  DecodeRequest detection_decode(const DetectOptions& options, Cancellation& cancellation) const;

  Model& model_;
  std::vector<float> input_;
  std::vector<Execution> executions_;
  InputWriter writer_;
  std::unique_ptr<DetectionHead> detection_head_;
  std::unique_ptr<HeadPoseHead> head_pose_head_;
};

}  // namespace edge_infer
