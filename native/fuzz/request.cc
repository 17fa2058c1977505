/// The JSON body of a task: its images taken out, the rest left as text.
#include "wire/request_images.h"

#include <cstdlib>

#include "refuses_or_returns.h"

using namespace edge_infer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuses_or_returns([&] {
    const ExtractedRequest request = extract_images({data, size});
    if (request.images.size() > kMaxImages || request.rest.size() > kMaxRestBytes + 2) std::abort();
  });
  return 0;
}
