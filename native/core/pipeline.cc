#include "pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "error.h"
#include "image/crop.h"

namespace edge_infer {
namespace {

/// Adds the time of its life to a stage.
class StageClock {
 public:
  explicit StageClock(double& stage) : stage_(stage), begin_(std::chrono::steady_clock::now()) {}
  ~StageClock() {
    stage_ += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_).count();
  }
  StageClock(const StageClock&) = delete;
  StageClock& operator=(const StageClock&) = delete;

 private:
  double& stage_;
  std::chrono::steady_clock::time_point begin_;
};

std::string box_text(const Box& box) {
  return "[" + std::to_string(box.x1) + ", " + std::to_string(box.y1) + ", " + std::to_string(box.x2) + ", " +
         std::to_string(box.y2) + "]";
}

/// The part of a box that lies in the frame. Throws BAD_REQUEST when there is none.
Box clip(const Box& box, size_t index, int width, int height) {
  const Box inside{std::max(box.x1, 0.0), std::max(box.y1, 0.0), std::min(box.x2, static_cast<double>(width)),
                   std::min(box.y2, static_cast<double>(height))};
  const bool finite = std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) && std::isfinite(box.y2);
  if (!finite || !(inside.x2 > inside.x1) || !(inside.y2 > inside.y1)) {
    throw Error(ErrorCode::bad_request,
                "Box " + std::to_string(index) + " must be [x1, y1, x2, y2] with an area inside the " +
                    std::to_string(width) + "x" + std::to_string(height) + " image but is " + box_text(box));
  }
  return inside;
}

[[noreturn]] void refuse_answer(const std::string& path, const Execution& execution, const std::string& what) {
  throw Error(ErrorCode::model_output, "The model " + path.substr(path.find_last_of('/') + 1) + " answered " + what +
                                           ", which no result can be, in its output " +
                                           tensors_text(execution.outputs()));
}

bool is_angle(float degrees) { return std::fabs(degrees) <= 180; }

}  // namespace

WireImage read_image(const ImageSource& source, DecodeRequest request) {
  request.auto_orient = source.auto_orient;
  switch (source.kind) {
    case ImageSource::Kind::encoded:
      return {decode_image(source.data, request), ImageEncoding::encoded};
    case ImageSource::Kind::raw:
      return {frame_from_pixels(source.data, source.width, source.height, source.channels, source.order),
              ImageEncoding::raw};
    case ImageSource::Kind::json:
      return decode_wire_image(source.data, request);
  }
  throw Error(ErrorCode::internal, "Unknown kind of image");
}

StageTimings& StageTimings::operator+=(const StageTimings& other) {
  decode += other.decode;
  preprocess += other.preprocess;
  inference += other.inference;
  postprocess += other.postprocess;
  encode += other.encode;
  return *this;
}

bool Pipeline::detects_objects() const { return model_.family().detects_objects(); }

DecodeRequest Pipeline::detection_decode(const DetectOptions& options, Cancellation& cancellation) const {
  DecodeRequest request;
  request.cancelled = cancellation.flag();
  if (options.full_decode || options.crops) return request;
  const InputSize size = model_.input_size();
  request.min_width = size.width;
  request.min_height = size.height;
  request.keep_aspect = model_.options().preprocessing.resize != ResizeMode::stretch;
  return request;
}

DetectResult Pipeline::detect(const ImageSource& image, const DetectOptions& options, Cancellation& cancellation) {
  if (!detects_objects()) {
    throw Error(ErrorCode::bad_request,
                std::string("A model of the family ") + model_.family().name + " does not detect objects");
  }
  cancellation.throw_if_cancelled();
  DetectResult result;
  WireImage source;
  {
    const StageClock clock(result.timings.decode);
    source = read_image(image, detection_decode(options, cancellation));
  }
  const Frame& frame = source.frame;
  result.width = frame.width;
  result.height = frame.height;
  result.encoding = source.encoding;
  Network& network = options.full_decode ? networks_.largest() : networks_.for_frame(frame.width, frame.height);
  Placement placement;
  {
    const StageClock clock(result.timings.preprocess);
    placement = network.write(frame);
  }
  const std::vector<TensorView>* outputs = nullptr;
  {
    const StageClock clock(result.timings.inference);
    outputs = &network.executions[0].run(cancellation);
  }
  {
    const StageClock clock(result.timings.postprocess);
    network.detection_head->decode(*outputs, options.limits, result.detections);
    const auto impossible = find_impossible(result.detections, network.size.width, network.size.height);
    if (impossible) refuse_answer(model_.options().model_paths[0], network.executions[0], *impossible);
    if (model_.family().suppression == Suppression::nms) {
      non_maximum_suppression(result.detections, options.limits.iou_threshold, options.limits.max_detections);
    } else {
      keep_highest_scores(result.detections, options.limits.max_detections);
    }
    to_frame(result.detections, placement, frame.width, frame.height);
  }
  if (options.crops) {
    const StageClock clock(result.timings.encode);
    result.crops.emplace();
    for (const Detection& face : result.detections) {
      cancellation.throw_if_cancelled();
      const cv::Rect area = square_around(face.x1, face.y1, face.x2, face.y2, options.crops->margin);
      result.crops->push_back(encode_jpeg(crop_replicated(frame.pixels, area), options.crops->quality));
    }
  }
  return result;
}

/// The fixed-point arithmetic of cv::resize is what head-pose models are measured with: they answer differences of a
/// single grey level with degrees.
void Pipeline::write_face(Network& network, const Frame& frame, const cv::Rect& area) {
  const InputSize size = network.size;
  Frame face{{}, size.width, size.height};
  cv::resize(crop_replicated(frame.pixels, area), face.pixels, cv::Size(size.width, size.height), 0, 0,
             cv::INTER_LINEAR);
  network.write(face);
}

HeadPose Pipeline::pose_of_input(Network& network, Cancellation& cancellation, StageTimings& timings) {
  HeadPose sum{0, 0, 0};
  for (size_t i = 0; i < network.executions.size(); ++i) {
    Execution& execution = network.executions[i];
    const std::vector<TensorView>* outputs = nullptr;
    {
      const StageClock clock(timings.inference);
      outputs = &execution.run(cancellation);
    }
    const StageClock clock(timings.postprocess);
    const HeadPose pose = network.head_pose_head->decode(*outputs);
    if (!is_angle(pose.yaw) || !is_angle(pose.pitch) || !is_angle(pose.roll)) {
      refuse_answer(
          model_.options().model_paths[i], execution,
          "the angles " + number_text(pose.yaw) + ", " + number_text(pose.pitch) + ", " + number_text(pose.roll));
    }
    sum = {sum.yaw + pose.yaw, sum.pitch + pose.pitch, sum.roll + pose.roll};
  }
  const auto count = static_cast<float>(network.executions.size());
  return {sum.yaw / count, sum.pitch / count, sum.roll / count};
}

HeadPoseResult Pipeline::head_pose(const std::vector<ImageSource>& images, const HeadPoseOptions& options,
                                   Cancellation& cancellation) {
  if (detects_objects()) {
    throw Error(ErrorCode::bad_request,
                std::string("A model of the family ") + model_.family().name + " does not estimate head poses");
  }
  if (options.boxes && images.size() != 1) {
    throw Error(ErrorCode::bad_request,
                "Boxes belong to one image but " + std::to_string(images.size()) + " were received");
  }
  Network& network = networks_.largest();
  HeadPoseResult result;
  for (size_t i = 0; i < images.size(); ++i) {
    cancellation.throw_if_cancelled();
    WireImage source;
    {
      const StageClock clock(result.timings.decode);
      DecodeRequest request;
      request.cancelled = cancellation.flag();
      source = read_image(images[i], request);
    }
    const Frame& frame = source.frame;
    result.sizes.emplace_back(frame.width, frame.height);
    if (i == 0) result.encoding = source.encoding;
    std::vector<cv::Rect> areas;
    if (options.boxes) {
      for (size_t k = 0; k < options.boxes->size(); ++k) {
        const Box box = clip((*options.boxes)[k], k, frame.width, frame.height);
        areas.push_back(square_around(box.x1, box.y1, box.x2, box.y2, options.margin));
      }
    } else {
      areas.push_back(cv::Rect(0, 0, frame.width, frame.height));
    }
    for (const cv::Rect& area : areas) {
      {
        const StageClock clock(result.timings.preprocess);
        write_face(network, frame, area);
      }
      result.poses.push_back(pose_of_input(network, cancellation, result.timings));
    }
  }
  return result;
}

void Pipeline::calibrate(const ImageSource& image, std::vector<TensorStatistics>& statistics,
                         Cancellation& cancellation) {
  if (!model_.options().calibration) throw Error(ErrorCode::bad_request, "The model was not opened for calibration");
  const bool detects = detects_objects();
  const Frame frame = read_image(image, detects ? detection_decode({}, cancellation) : DecodeRequest{}).frame;
  Network& network = detects ? networks_.for_frame(frame.width, frame.height) : networks_.largest();
  if (detects) {
    network.write(frame);
  } else {
    write_face(network, frame, cv::Rect(0, 0, frame.width, frame.height));
  }
  const std::vector<TensorView>& outputs = network.executions[0].run(cancellation);
  statistics.resize(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) statistics[i].add(outputs[i]);
}

}  // namespace edge_infer
