#pragma once

#include <opencv2/core/mat.hpp>

#include "image/image_header.h"

namespace edge_infer {

/// Decodes a BMP of 1, 2, 4, 8, 16, 24 or 32 bits a pixel, with a palette, plain or by channel masks (BITFIELDS), of
/// any header from OS/2's to V5, to 8-bit BGR; alpha is dropped. Empty for a run-length encoded one, which is left to
/// OpenCV. `header` is what read_image_header says of the file. Throws BAD_IMAGE naming what is broken or not
/// supported.
cv::Mat decode_bmp(ByteView file, const ImageHeader& header);

}  // namespace edge_infer
