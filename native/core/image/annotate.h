#pragma once

#include <optional>
#include <string>
#include <vector>

#include "geometry.h"
#include "image/image.h"

namespace edge_infer {

/// What is drawn round one object: its box, a label above it, and the axes of a head pose from its centre.
struct Mark {
  Box box;
  std::string label;
  /// Picks the colour.
  int class_id = 0;
  std::optional<HeadPose> pose;
};

/// Draws the marks on a copy of the pixels; line widths and text grow with the picture.
cv::Mat annotate(const cv::Mat& pixels, const std::vector<Mark>& marks);

/// Encodes 8-bit BGR pixels by the extension (".jpg", ".png", ".webp", ".bmp"). Throws BAD_OPTION for another.
Bytes encode_image(const cv::Mat& pixels, const std::string& extension, int quality);

}  // namespace edge_infer
