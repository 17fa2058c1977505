#include "crop.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>

namespace edge_infer {

cv::Rect square_around(double x1, double y1, double x2, double y2, double margin) {
  const double side = std::max(1.0, (1 + 2 * margin) * std::max(x2 - x1, y2 - y1));
  const int pixels = static_cast<int>(std::lrint(side));
  return {static_cast<int>(std::lrint((x1 + x2 - side) / 2)), static_cast<int>(std::lrint((y1 + y2 - side) / 2)), pixels,
          pixels};
}

cv::Mat crop_replicated(const cv::Mat& pixels, const cv::Rect& area) {
  const cv::Rect inside = area & cv::Rect(cv::Point(0, 0), pixels.size());
  if (inside == area) return pixels(area);
  cv::Mat crop;
  cv::copyMakeBorder(pixels(inside), crop, inside.y - area.y, area.br().y - inside.br().y, inside.x - area.x,
                     area.br().x - inside.br().x, cv::BORDER_REPLICATE | cv::BORDER_ISOLATED);
  return crop;
}

}  // namespace edge_infer
