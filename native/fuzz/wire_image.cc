/// One JSON value that is an image in any of its encodings, decoded to pixels.
#include "wire/wire_image.h"

#include <cstdlib>

#include "refuses_or_returns.h"

using namespace edge_infer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuses_or_returns([&] {
    if (decode_wire_image({data, size}, {}).frame.pixels.empty()) std::abort();
  });
  return 0;
}
