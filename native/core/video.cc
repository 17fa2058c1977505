#include "video.h"

#include <algorithm>

#include "error.h"

namespace edge_infer {

VideoReader::VideoReader(const std::string& path) {
  bool opened = false;
  try {
    opened = capture_.open(path, cv::CAP_FFMPEG);
  } catch (const cv::Exception&) {
  }
  if (!opened) throw Error(ErrorCode::bad_image, "Expected a video file that FFmpeg reads but received " + path);
  capture_.set(cv::CAP_PROP_ORIENTATION_AUTO, 0);
  info_.width = static_cast<int>(capture_.get(cv::CAP_PROP_FRAME_WIDTH));
  info_.height = static_cast<int>(capture_.get(cv::CAP_PROP_FRAME_HEIGHT));
  info_.frames_per_second = capture_.get(cv::CAP_PROP_FPS);
  info_.frame_count = std::max<int64_t>(0, static_cast<int64_t>(capture_.get(cv::CAP_PROP_FRAME_COUNT)));
}

cv::Mat VideoReader::read() {
  cv::Mat frame;
  capture_.read(frame);
  return frame;
}

VideoWriter::VideoWriter(const std::string& path, const VideoInfo& info) : size_(info.width, info.height) {
  const double rate = info.frames_per_second > 0 ? info.frames_per_second : 25;
  bool opened = false;
  try {
    opened = writer_.open(path, cv::CAP_FFMPEG, cv::VideoWriter::fourcc('m', 'p', '4', 'v'), rate, size_);
  } catch (const cv::Exception&) {
  }
  if (!opened)
    throw Error(ErrorCode::bad_option, "Expected a video file name (.mp4) that can be written but received " + path);
}

void VideoWriter::write(const cv::Mat& frame) {
  if (!writer_.isOpened()) throw Error(ErrorCode::closed, "The video has been closed");
  if (frame.size() != size_) {
    throw Error(ErrorCode::bad_option, "Expected frames of " + std::to_string(size_.width) + "x" +
                                           std::to_string(size_.height) + " but received one of " +
                                           std::to_string(frame.cols) + "x" + std::to_string(frame.rows));
  }
  writer_.write(frame);
}

}  // namespace edge_infer
