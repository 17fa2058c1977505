#pragma once

#include <opencv2/core/mat.hpp>
#include <vector>

#include "image/image.h"

namespace edge_infer {

enum class ResizeMode { stretch, letterbox_center, letterbox_top_left };

/// What a network expects of its input: `(pixel - mean) * scale` in the channel order it reads.
struct Preprocessing {
  ResizeMode resize = ResizeMode::stretch;
  ChannelOrder channel_order = ChannelOrder::rgb;
  float mean[3] = {0, 0, 0};
  float scale[3] = {1, 1, 1};
  float pad = 114;
};

/// Where a frame lies in the network's input, in input pixels. `input = frame * scale + offset`.
struct Placement {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  double scale_x = 1;
  double scale_y = 1;

  /// Back from input to frame pixels.
  float frame_x(float input_x) const { return static_cast<float>((input_x - x) / scale_x); }
  float frame_y(float input_y) const { return static_cast<float>((input_y - y) / scale_y); }
};

Placement place(ResizeMode mode, int frame_width, int frame_height, int input_width, int input_height);

/// Resizes (bilinear, pixel centres at .5, edges replicated), pads, normalises, reorders and splits the channels of a
/// picture in one pass, straight into a network's 1×3×H×W float input. Keeps its tables between pictures of one size.
class InputWriter {
 public:
  InputWriter(const Preprocessing& preprocessing, int input_width, int input_height);

  /// Writes the whole frame, placed by the resize mode, into `input` (3 × height × width floats).
  Placement write(const Frame& frame, float* input);

 private:
  struct Axis {
    std::vector<int> low;
    std::vector<int> high;
    std::vector<float> weight;
    bool identity = false;
  };

  struct Geometry {
    cv::Size source;
    cv::Size target;
    bool operator==(const Geometry& other) const { return source == other.source && target == other.target; }
  };

  static Axis make_axis(int length, int target);
  void prepare(const Geometry& geometry);
  void fill_border(const Placement& placement, float* input) const;
  /// Rows first, then columns: for pictures about twice as large as the input.
  void shrink(const cv::Mat& source, const Placement& placement, float* input);
  /// Columns first, each source row once.
  void resample(const cv::Mat& source, const Placement& placement, float* input);
  void interpolate_row(const uint8_t* row, float* planes) const;

  Preprocessing preprocessing_;
  int width_;
  int height_;
  /// Per plane of the input: its channel in BGR pixels, and `pixel * scale + bias`.
  int channel_[3];
  float scale_[3];
  float bias_[3];
  Geometry geometry_;
  Axis columns_;
  Axis rows_;
  std::vector<float> row_buffers_[2];
  std::vector<float> blended_;
  int buffered_row_[2] = {-1, -1};
};

}  // namespace edge_infer
