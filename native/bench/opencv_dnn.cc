/// A peer of `edge-infer bench compare`: what a C++ user writes with OpenCV alone. Decode, blob, cv::dnn, NMS.
///
///     edge_infer_opencv_dnn family=ultraface|yolox model=… image=… threads=1 width=320 height=240
///                           score=0.7 iou=0.3 mean=127,127,127 scale=0.0078125,0.0078125,0.0078125 rgb=1
///
/// Prints one line of JSON when ready. Then, for each line "run", the milliseconds of one frame; for "result", what it
/// finds in the picture.

#include <cmath>
#include <opencv2/core/version.hpp>
#include <opencv2/dnn.hpp>
#include <opencv2/imgproc.hpp>
#include <sstream>

#include "program.h"

namespace {

using bench::Arguments;
using bench::Clock;

cv::Scalar channels(const Arguments& arguments, const std::string& name) {
  cv::Scalar values;
  std::istringstream stream(arguments.text(name));
  std::string part;
  for (int i = 0; i < 3 && std::getline(stream, part, ','); ++i) values[i] = std::atof(part.c_str());
  return values;
}

struct Found {
  std::vector<cv::Rect2d> boxes;
  std::vector<float> scores;
  std::vector<int> classes;
};

class Peer {
 public:
  explicit Peer(const Arguments& arguments)
      : net_(cv::dnn::readNetFromONNX(arguments.text("model"))),
        outputs_(net_.getUnconnectedOutLayersNames()),
        is_yolox_(arguments.text("family") == "yolox"),
        input_(arguments.whole("width"), arguments.whole("height")),
        mean_(channels(arguments, "mean")),
        scale_(channels(arguments, "scale")),
        swap_(arguments.number("rgb") != 0),
        score_threshold_(static_cast<float>(arguments.number("score"))),
        iou_threshold_(static_cast<float>(arguments.number("iou"))) {
    net_.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
    net_.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
  }

  cv::Mat to_blob(const cv::Mat& frame) const {
    if (!is_yolox_) return cv::dnn::blobFromImage(frame, scale_[0], input_, mean_, swap_);
    cv::Mat canvas(input_, CV_8UC3, cv::Scalar::all(114)), scaled;
    const double ratio = ratio_for(frame.size());
    cv::resize(frame, scaled, cv::Size(static_cast<int>(frame.cols * ratio), static_cast<int>(frame.rows * ratio)));
    scaled.copyTo(canvas(cv::Rect(cv::Point(), scaled.size())));
    cv::Mat blob = cv::dnn::blobFromImage(canvas, 1.0, cv::Size(), mean_, swap_);
    // blobFromImage knows one factor for all channels.
    for (int channel = 0; channel < 3; ++channel) {
      cv::Mat plane(input_, CV_32F, blob.ptr<float>(0, channel));
      plane *= scale_[channel];
    }
    return blob;
  }

  std::vector<cv::Mat> forward(const cv::Mat& blob) {
    std::vector<cv::Mat> results;
    net_.setInput(blob);
    net_.forward(results, outputs_);
    return results;
  }

  Found decode(const std::vector<cv::Mat>& tensors, const cv::Size& frame) const {
    Found all = is_yolox_ ? decode_yolox(tensors[0], frame) : decode_ultraface(tensors, frame);
    std::vector<int> kept;
    Found found;
    // Boxes of different classes are moved apart, since NMS is per class.
    std::vector<cv::Rect2d> apart = all.boxes;
    for (size_t i = 0; i < apart.size(); ++i) apart[i].x += 1e5 * all.classes[i];
    cv::dnn::NMSBoxes(apart, all.scores, score_threshold_, iou_threshold_, kept);
    for (const int i : kept) {
      found.boxes.push_back(all.boxes[i] & cv::Rect2d(0, 0, frame.width, frame.height));
      found.scores.push_back(all.scores[i]);
      found.classes.push_back(all.classes[i]);
    }
    return found;
  }

 private:
  double ratio_for(const cv::Size& frame) const {
    return std::min(static_cast<double>(input_.width) / frame.width, static_cast<double>(input_.height) / frame.height);
  }

  Found decode_ultraface(const std::vector<cv::Mat>& tensors, const cv::Size& frame) const {
    const bool boxes_first = tensors[0].size[2] == 4;
    const auto* box = tensors[boxes_first ? 0 : 1].ptr<float>();
    const auto* score = tensors[boxes_first ? 1 : 0].ptr<float>();
    Found found;
    for (int i = 0; i < tensors[0].size[1]; ++i, box += 4, score += 2) {
      if (!(score[1] > score_threshold_)) continue;
      found.boxes.emplace_back(box[0] * frame.width, box[1] * frame.height, (box[2] - box[0]) * frame.width,
                               (box[3] - box[1]) * frame.height);
      found.scores.push_back(score[1]);
      found.classes.push_back(0);
    }
    return found;
  }

  Found decode_yolox(const cv::Mat& tensor, const cv::Size& frame) const {
    const double ratio = ratio_for(frame);
    const int columns = tensor.size[2];
    const auto* row = tensor.ptr<float>();
    Found found;
    for (const int stride : {8, 16, 32}) {
      for (int y = 0; y < input_.height / stride; ++y) {
        for (int x = 0; x < input_.width / stride; ++x, row += columns) {
          int best = 5;
          for (int i = 6; i < columns; ++i) best = row[i] > row[best] ? i : best;
          const float score = row[4] * row[best];
          if (!(score > score_threshold_)) continue;
          const double cx = (row[0] + x) * stride / ratio, cy = (row[1] + y) * stride / ratio;
          const double width = std::exp(row[2]) * stride / ratio, height = std::exp(row[3]) * stride / ratio;
          found.boxes.emplace_back(cx - width / 2, cy - height / 2, width, height);
          found.scores.push_back(score);
          found.classes.push_back(best - 5);
        }
      }
    }
    return found;
  }

  cv::dnn::Net net_;
  std::vector<std::string> outputs_;
  bool is_yolox_;
  cv::Size input_;
  cv::Scalar mean_;
  cv::Scalar scale_;
  bool swap_;
  float score_threshold_;
  float iou_threshold_;
};

std::string to_json(const Found& found) {
  std::string json = "{\"objects\": [";
  for (size_t i = 0; i < found.boxes.size(); ++i) {
    const cv::Rect2d& box = found.boxes[i];
    char line[200];
    std::snprintf(line, sizeof line, "%s{\"box\": [%.3f, %.3f, %.3f, %.3f], \"score\": %.5f, \"classId\": %d}",
                  i > 0 ? ", " : "", box.x, box.y, box.x + box.width, box.y + box.height, found.scores[i],
                  found.classes[i]);
    json += line;
  }
  return json + "]}";
}

void serve(const Arguments& arguments) {
  cv::setNumThreads(arguments.whole("threads"));
  const bench::Picture picture(arguments.text("image"));
  Peer peer(arguments);
  peer.forward(peer.to_blob(picture.decode()));
  bench::converse("{\"ready\": true, \"version\": \"OpenCV " CV_VERSION "\"}", [&](const std::string& line) {
    const auto begin = Clock::now();
    const cv::Mat frame = picture.decode();
    const auto decoded = Clock::now();
    const cv::Mat blob = peer.to_blob(frame);
    const auto prepared = Clock::now();
    const std::vector<cv::Mat> tensors = peer.forward(blob);
    const auto inferred = Clock::now();
    const Found found = peer.decode(tensors, frame.size());
    const auto end = Clock::now();
    if (line == "result") return to_json(found);
    return bench::times({{"total", bench::milliseconds(begin, end)},
                         {"decode", bench::milliseconds(begin, decoded)},
                         {"preprocess", bench::milliseconds(decoded, prepared)},
                         {"inference", bench::milliseconds(prepared, inferred)},
                         {"postprocess", bench::milliseconds(inferred, end)}});
  });
}

}  // namespace

int main(int count, char** values) { return bench::run(count, values, serve); }
