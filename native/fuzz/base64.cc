#include "wire/base64.h"

#include <cstdlib>

#include "refuses_or_returns.h"

using namespace edge_infer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuses_or_returns([&] {
    // Three bytes come of four characters.
    if (decode_base64({data, size}).size() > size / 4 * 3 + 2) std::abort();
  });
  return 0;
}
