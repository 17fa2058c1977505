#include "image/crop.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace edge_infer {
namespace {

/// Pixels of `size` in which `inside` lies at `offset`, its border pixels repeated round it.
cv::Mat with_border(const cv::Mat& inside, cv::Point offset, cv::Size size) {
  cv::Mat crop;
  cv::copyMakeBorder(inside, crop, offset.y, size.height - inside.rows - offset.y, offset.x,
                     size.width - inside.cols - offset.x, cv::BORDER_REPLICATE | cv::BORDER_ISOLATED);
  return crop;
}

cv::Mat scaled_down(const cv::Mat& inside, cv::Point offset, cv::Size size) {
  const double ratio = static_cast<double>(kMaxCropSide) / std::max(size.width, size.height);
  const auto scaled = [ratio](int length) { return std::max(1, static_cast<int>(std::lrint(length * ratio))); };
  cv::Mat small;
  cv::resize(inside, small, cv::Size(scaled(inside.cols), scaled(inside.rows)), 0, 0, cv::INTER_AREA);
  const cv::Size target(std::max(scaled(size.width), small.cols), std::max(scaled(size.height), small.rows));
  const cv::Point at(std::clamp(static_cast<int>(offset.x * ratio), 0, target.width - small.cols),
                     std::clamp(static_cast<int>(offset.y * ratio), 0, target.height - small.rows));
  return with_border(small, at, target);
}

}  // namespace

cv::Rect square_around(double x1, double y1, double x2, double y2, double margin) {
  const double side = std::max(1.0, (1 + 2 * margin) * std::max(x2 - x1, y2 - y1));
  const int pixels = static_cast<int>(std::lrint(side));
  return {static_cast<int>(std::lrint((x1 + x2 - side) / 2)), static_cast<int>(std::lrint((y1 + y2 - side) / 2)),
          pixels, pixels};
}

cv::Mat crop_replicated(const cv::Mat& pixels, const cv::Rect& area) {
  const cv::Rect inside = area & cv::Rect(cv::Point(0, 0), pixels.size());
  if (std::max(area.width, area.height) > kMaxCropSide)
    return scaled_down(pixels(inside), inside.tl() - area.tl(), area.size());
  if (inside == area) return pixels(area);
  return with_border(pixels(inside), inside.tl() - area.tl(), area.size());
}

}  // namespace edge_infer
