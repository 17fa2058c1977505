#pragma once

#include <opencv2/core/mat.hpp>
#include <optional>

#include "bytes.h"

namespace edge_infer {

/// The first frame of an animated WebP.
struct WebpFrame {
  /// A still WebP of its own, without alpha.
  Bytes file;
  /// Where its top left corner lies on the canvas, pixels.
  cv::Point offset;
};

/// Nothing for a still WebP. Throws BAD_IMAGE for an animation without a whole first frame.
std::optional<WebpFrame> first_webp_frame(ByteView file);

}  // namespace edge_infer
