/// Every decoder, by what the file's first bytes say; upright and reduced, too.
#include <cstdlib>

#include "image/image.h"
#include "image/image_header.h"
#include "refuses_or_returns.h"

using namespace edge_infer;

/// Larger pictures only take longer.
constexpr int64_t kMaxFuzzedPixels = 1 << 18;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView file(data, size);
  refuses_or_returns([&] {
    const ImageHeader header = read_image_header(file);
    if (int64_t{header.width} * header.height > kMaxFuzzedPixels) return;
    const Frame whole = decode_image(file, {});
    if (whole.width != header.width || whole.height != header.height || !whole.full_size()) std::abort();
    DecodeRequest request;
    request.min_width = header.width / 3 + 1, request.min_height = header.height / 3 + 1;
    request.auto_orient = true;
    const Frame reduced = decode_image(file, request);
    if (reduced.width * reduced.height != header.width * header.height) std::abort();
  });
  return 0;
}
