#include "wire/wire_image.h"

#include <algorithm>
#include <string_view>

#include "error.h"
#include "image/image_header.h"
#include "wire/base64.h"
#include "wire/bytes_literal.h"
#include "wire/json_string.h"
#include "wire/nested_list.h"

namespace edge_infer {
namespace {

constexpr const char* kAccepted =
    "Expected an image as a Python bytes literal, base64, a data URL, one character a byte, or a nested list";

bool is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

ByteView trim(ByteView json) {
  while (json.size > 0 && is_space(json.data[0])) json = {json.data + 1, json.size - 1};
  while (json.size > 0 && is_space(json.data[json.size - 1])) json.size -= 1;
  return json;
}

/// What base64 of a JPEG, PNG, WebP or BMP file begins with.
bool looks_like_base64(ByteView text) {
  return text.starts_with("/9j/") || text.starts_with("_9j_") || text.starts_with("iVBORw") ||
         text.starts_with("UklGR") || text.starts_with("Qk");
}

/// Base64 as a JSON string has no escapes but `\/`, which some writers use.
Bytes unescape_base64(ByteView text) {
  if (std::find(text.data, text.end(), '\\') == text.end()) return decode_base64(text);
  return decode_base64(latin1_bytes(JsonCharacters(text.data, text.end())));
}

/// Whether the string is base64 of a file of another kind, which is refused by its name.
bool holds_unsupported_file(ByteView text) {
  constexpr size_t kEnough = 64;
  try {
    const Bytes start = decode_base64({text.data, std::min(text.size, kEnough)});
    return !has_image_signature(start) && is_unsupported_file(start);
  } catch (const Error&) {
    return false;
  }
}

Bytes decode_data_url(ByteView text) {
  const std::string_view view(reinterpret_cast<const char*>(text.data), std::min<size_t>(text.size, 256));
  const size_t comma = view.find(',');
  if (comma == std::string_view::npos || view.substr(0, comma).find(";base64") == std::string_view::npos) {
    throw Error(ErrorCode::bad_image, "Expected a data URL of the form data:image/jpeg;base64,…");
  }
  return unescape_base64({text.data + comma + 1, text.size - comma - 1});
}

}  // namespace

WireFile decode_wire_string(ByteView text) {
  if (text.starts_with("b'") || text.starts_with("b\\\"")) {
    return {decode_bytes_literal(JsonCharacters(text.data, text.end())), ImageEncoding::bytes_literal};
  }
  if (text.starts_with("data:")) return {decode_data_url(text), ImageEncoding::data_url};
  // A JSON writer may escape any "/" as "\/"; a JPEG's base64 begins with one.
  if (looks_like_base64(text) || text.starts_with("\\/9j")) return {unescape_base64(text), ImageEncoding::base64};
  if (holds_unsupported_file(text)) return {unescape_base64(text), ImageEncoding::base64};
  Bytes bytes;
  try {
    bytes = latin1_bytes(JsonCharacters(text.data, text.end()));
  } catch (const Error& error) {
    throw Error(ErrorCode::bad_image, std::string(kAccepted) + "; " + error.what());
  }
  if (!has_image_signature(bytes) && !is_unsupported_file(bytes)) {
    throw Error(ErrorCode::bad_image, std::string(kAccepted) +
                                          " of a JPEG, PNG, WebP or BMP file, but received a string of " +
                                          std::to_string(bytes.size()) + " characters that begins like none of them");
  }
  return {std::move(bytes), ImageEncoding::latin1};
}

const char* image_encoding_name(ImageEncoding encoding) {
  switch (encoding) {
    case ImageEncoding::encoded:
      return "encoded";
    case ImageEncoding::raw:
      return "raw";
    case ImageEncoding::bytes_literal:
      return "bytes-literal";
    case ImageEncoding::base64:
      return "base64";
    case ImageEncoding::data_url:
      return "data-url";
    case ImageEncoding::latin1:
      return "latin1";
    case ImageEncoding::nested_list:
      return "nested-list";
  }
  return "";
}

WireImage decode_wire_image(ByteView json, const DecodeRequest& request) {
  const ByteView value = trim(json);
  if (value.size > 0 && value.data[0] == '[') {
    return {decode_nested_list(value, request.cancelled), ImageEncoding::nested_list};
  }
  if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"') {
    const WireFile file = decode_wire_string({value.data + 1, value.size - 2});
    return {decode_image(file.bytes, request), file.encoding};
  }
  throw Error(ErrorCode::bad_image,
              std::string(kAccepted) + ", but received a JSON value that is neither a string nor a list");
}

}  // namespace edge_infer
