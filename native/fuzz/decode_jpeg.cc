#include "decodes_or_refuses.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge_infer::decodes_or_refuses(edge_infer::ImageFormat::jpeg, {data, size});
  return 0;
}
