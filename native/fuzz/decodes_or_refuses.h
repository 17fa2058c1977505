#pragma once

#include <cstdlib>

#include "image/image.h"
#include "image/image_header.h"
#include "refuses_or_returns.h"

namespace edge_infer {

/// Larger pictures only take longer.
constexpr int64_t kMaxFuzzedPixels = 1 << 16;

/// Decodes a file of that format whole, and again upright and no larger than needed.
inline void decodes_or_refuses(ImageFormat format, ByteView file) {
  refuses_or_returns([&] {
    const ImageHeader header = read_image_header(file);
    if (header.format != format || int64_t{header.width} * header.height > kMaxFuzzedPixels) return;
    const Frame whole = decode_image(file, {});
    if (whole.width != header.width || whole.height != header.height || !whole.full_size()) std::abort();
    DecodeRequest request;
    request.min_width = header.width / 3 + 1, request.min_height = header.height / 3 + 1;
    request.auto_orient = true;
    const Frame reduced = decode_image(file, request);
    if (reduced.width * reduced.height != header.width * header.height) std::abort();
    if (reduced.pixels.cols > reduced.width || reduced.pixels.rows > reduced.height) std::abort();
  });
}

}  // namespace edge_infer
