#pragma once

#include <opencv2/core/mat.hpp>

#include "image/image_header.h"

namespace edge_infer {

/// How a camera was held, by EXIF's tag 0x0112: 1 (upright) to 8. 1 where the file does not say, or says nonsense.
int exif_orientation(ByteView file, ImageFormat format);

/// Whether width and height change places when the picture is turned upright.
constexpr bool swaps_sides(int orientation) { return orientation >= 5; }

/// The pixels turned and mirrored so that the picture is upright.
cv::Mat upright(const cv::Mat& pixels, int orientation);

}  // namespace edge_infer
