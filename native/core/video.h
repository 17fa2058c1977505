#pragma once

#include <opencv2/videoio.hpp>
#include <string>

namespace edge_infer {

struct VideoInfo {
  int width = 0;
  int height = 0;
  double frames_per_second = 0;
  /// 0 where the file does not say.
  int64_t frame_count = 0;
};

/// Reads the frames of a video file in order. Throws BAD_IMAGE when it is no video.
class VideoReader {
 public:
  explicit VideoReader(const std::string& path);
  const VideoInfo& info() const { return info_; }
  /// 8-bit BGR; empty after the last frame.
  cv::Mat read();

 private:
  cv::VideoCapture capture_;
  VideoInfo info_;
};

/// Writes an MP4 (MPEG-4) file. Throws BAD_OPTION when it cannot be written.
class VideoWriter {
 public:
  VideoWriter(const std::string& path, const VideoInfo& info);
  /// Throws BAD_OPTION for a frame of another size, CLOSED after close().
  void write(const cv::Mat& frame);
  void close() { writer_.release(); }

 private:
  cv::VideoWriter writer_;
  cv::Size size_;
};

}  // namespace edge_infer
