#pragma once

#include <atomic>
#include <opencv2/core/mat.hpp>

#include "bytes.h"

namespace edge_infer {

/// Which part of a JPEG is wanted, and how small.
struct JpegRequest {
  /// The decoded frame is at least this large in both directions where the file is; 0: every pixel.
  int min_width = 0;
  int min_height = 0;
};

/// Decodes a JPEG to 8-bit BGR, scaled by the smallest n/8 that satisfies `request` (scaled in the DCT, so pixels
/// that are not needed are never made). EXIF orientation is ignored.
/// Throws BAD_IMAGE for broken or truncated data, ABORTED when `cancelled` becomes true.
/// Returns an empty matrix for colour spaces it leaves to OpenCV (CMYK, YCCK).
cv::Mat decode_jpeg(ByteView file, const JpegRequest& request, const std::atomic<bool>* cancelled);

}  // namespace edge_infer
