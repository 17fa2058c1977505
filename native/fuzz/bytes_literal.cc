/// A Python bytes literal in a JSON string. What decodes must decode to the same bytes after it was encoded again.
#include "wire/bytes_literal.h"

#include <cstdlib>

#include "refuses_or_returns.h"

using namespace edge_infer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuses_or_returns([&] {
    const Bytes bytes = decode_bytes_literal(JsonCharacters(data, data + size));
    std::string json;
    for (const char character : encode_bytes_literal(bytes)) {
      if (character == '\\' || character == '"') json += '\\';
      json += character;
    }
    const ByteView text{std::string_view(json)};
    if (decode_bytes_literal(JsonCharacters(text.data, text.end())) != bytes) std::abort();
  });
  return 0;
}
