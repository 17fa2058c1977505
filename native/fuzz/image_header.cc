/// Sizes and signatures from the first bytes, and the orientation that EXIF gives.
#include "image/image_header.h"

#include <cstdlib>

#include "image/orientation.h"
#include "refuses_or_returns.h"

using namespace edge_infer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView file(data, size);
  for (const ImageFormat format : {ImageFormat::jpeg, ImageFormat::png, ImageFormat::webp, ImageFormat::bmp}) {
    const int orientation = exif_orientation(file, format);
    if (orientation < 1 || orientation > 8) std::abort();
  }
  refuses_or_returns([&] {
    const ImageHeader header = read_image_header(file);
    if (header.width < 1 || int64_t{header.width} * header.height > kMaxPixels) std::abort();
  });
  return 0;
}
