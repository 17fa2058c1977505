#include <cstdlib>

#include "refuses_or_returns.h"
#include "wire/json_string.h"

using namespace edge_infer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuses_or_returns([&] {
    if (latin1_bytes(JsonCharacters(data, data + size)).size() > size) std::abort();
  });
  return 0;
}
