#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cancellation.h"
#include "geometry.h"
#include "heads/head.h"
#include "image/image.h"
#include "image/letterbox.h"
#include "model/model.h"
#include "model/network.h"
#include "model/tensor_statistics.h"
#include "wire/wire_image.h"

namespace edge_infer {

/// Milliseconds of each stage of one call.
struct StageTimings {
  double decode = 0;
  double preprocess = 0;
  double inference = 0;
  double postprocess = 0;
  double encode = 0;

  StageTimings& operator+=(const StageTimings& other);
};

/// An image as it was given: a file, raw pixels, or the text of one JSON value. The bytes belong to the caller.
struct ImageSource {
  enum class Kind { encoded, raw, json } kind = Kind::encoded;
  ByteView data;
  int width = 0;
  int height = 0;
  int channels = 3;
  ChannelOrder order = ChannelOrder::bgr;
  /// Of a file: whether it is turned as its EXIF orientation says.
  bool auto_orient = false;
};

/// Decodes any source. `request` lets JPEG files be decoded smaller; the source says whether it is turned.
WireImage read_image(const ImageSource& source, DecodeRequest request);

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
  ImageEncoding encoding = ImageEncoding::encoded;
  std::vector<Detection> detections;
  /// A JPEG file of each detection, when crops were asked for.
  std::optional<std::vector<Bytes>> crops;
  StageTimings timings;
};

struct HeadPoseOptions {
  /// Boxes in the one image; absent: each image is a face, used whole.
  std::optional<std::vector<Box>> boxes;
  double margin = 0.3;
};

struct HeadPoseResult {
  /// Of each image.
  std::vector<cv::Size> sizes;
  ImageEncoding encoding = ImageEncoding::encoded;
  std::vector<HeadPose> poses;
  StageTimings timings;
};

/// Frame in, results out, on one thread at a time, with buffers of its own. Runs the model once when made, so that the
/// first request is not slower than the rest.
class Pipeline {
 public:
  explicit Pipeline(const Model& model) : model_(model), networks_(model) {}

  /// Whether the model is one for detect(); else it is one for head_pose().
  bool detects_objects() const;

  DetectResult detect(const ImageSource& image, const DetectOptions& options, Cancellation& cancellation);
  HeadPoseResult head_pose(const std::vector<ImageSource>& images, const HeadPoseOptions& options,
                           Cancellation& cancellation);
  /// Runs a model opened for calibration on an image, prepared as detect() does with a frame and head_pose() with a
  /// face, and adds its outputs to the statistics, one an output.
  void calibrate(const ImageSource& image, std::vector<TensorStatistics>& statistics, Cancellation& cancellation);

 private:
  void write_face(Network& network, const Frame& frame, const cv::Rect& area);
  HeadPose pose_of_input(Network& network, Cancellation& cancellation, StageTimings& timings);
  DecodeRequest detection_decode(const DetectOptions& options, Cancellation& cancellation) const;

  const Model& model_;
  Networks networks_;
};

}  // namespace edge_infer
