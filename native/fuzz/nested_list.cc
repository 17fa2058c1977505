/// A picture as nested lists of numbers, whole and followed by other text.
#include "wire/nested_list.h"

#include <cstdlib>

#include "refuses_or_returns.h"

using namespace edge_infer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuses_or_returns([&] {
    const Frame frame = decode_nested_list({data, size}, nullptr);
    if (!frame.full_size() || frame.pixels.type() != CV_8UC3) std::abort();
  });
  refuses_or_returns([&] {
    size_t length = 0;
    const Frame frame = decode_nested_list_prefix({data, size}, nullptr, length);
    if (length > size || frame.pixels.empty()) std::abort();
  });
  return 0;
}
