#pragma once

#include <atomic>
#include <opencv2/core/mat.hpp>

#include "bytes.h"
#include "image/image_header.h"

namespace edge_infer {

/// How small a JPEG is wanted.
struct JpegRequest {
  /// The decoded frame is at least this large in both directions where the file is; 0: every pixel.
  int min_width = 0;
  int min_height = 0;
};

/// Decodes a JPEG to 8-bit BGR, scaled by the smallest n/8 that satisfies `request` (scaled in the DCT, so pixels
/// that are not needed are never made). EXIF orientation is ignored. `header` is what read_image_header says of it.
/// Throws BAD_IMAGE for truncated or visibly damaged data, ABORTED when `cancelled` becomes true. A missing
/// end-of-image marker, stray bytes between segments and the like, which cost no pixel, are let pass.
cv::Mat decode_jpeg(ByteView file, const ImageHeader& header, const JpegRequest& request,
                    const std::atomic<bool>* cancelled);

}  // namespace edge_infer
