#include "wire/json_string.h"

#include <string>

#include "error.h"

namespace edge_infer {
uint32_t JsonCharacters::next() {
  const uint8_t lead = *at_++;
  if (lead == '\\') return next_escape();
  if (lead == '"')
    throw Error(ErrorCode::bad_image, "The image string has an unescaped quote at " + std::to_string(position() - 1));
  if (lead < 0x20) {
    throw Error(ErrorCode::bad_image,
                "The image string has an unescaped control character at " + std::to_string(position() - 1));
  }
  if (lead < 0x80) return lead;
  return next_multibyte(lead);
}

uint32_t JsonCharacters::next_escape() {
  if (at_ == end_) throw Error(ErrorCode::bad_image, "The image string ends in the middle of an escape");
  const uint8_t kind = *at_++;
  switch (kind) {
    case '"':
    case '\\':
    case '/':
      return kind;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'u': {
      if (end_ - at_ >= 4) {
        const int a = hex_digit(at_[0]), b = hex_digit(at_[1]), c = hex_digit(at_[2]), d = hex_digit(at_[3]);
        if ((a | b | c | d) >= 0) {
          at_ += 4;
          return static_cast<uint32_t>(a << 12 | b << 8 | c << 4 | d);
        }
      }
      break;
    }
    default:
      break;
  }
  throw Error(ErrorCode::bad_image,
              "The image string has an escape JSON does not know at " + std::to_string(position() - 2));
}

uint32_t JsonCharacters::next_multibyte(uint8_t lead) {
  const int following = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || end_ - at_ < following) {
    throw Error(ErrorCode::bad_image, "The image string is not UTF-8 at " + std::to_string(position() - 1));
  }
  const size_t start = position() - 1;
  uint32_t code = lead & (0x3F >> following);
  for (int i = 0; i < following; ++i) {
    if ((*at_ & 0xC0) != 0x80)
      throw Error(ErrorCode::bad_image, "The image string is not UTF-8 at " + std::to_string(position()));
    code = code << 6 | (*at_++ & 0x3F);
  }
  constexpr uint32_t kShortest[] = {0, 0x80, 0x800, 0x10000};
  if (code < kShortest[following])
    throw Error(ErrorCode::bad_image, "The image string is not UTF-8 at " + std::to_string(start));
  return code;
}

Bytes latin1_bytes(JsonCharacters text) {
  Bytes bytes;
  bytes.reserve(static_cast<size_t>(text.end() - text.cursor()));
  while (!text.done()) {
    const size_t position = text.position();
    const uint32_t code = text.next();
    if (code > 0xFF) {
      throw Error(ErrorCode::bad_image, "Expected one character a byte (U+0000 to U+00FF) but the one at " +
                                            std::to_string(position) + " is above");
    }
    bytes.push_back(static_cast<uint8_t>(code));
  }
  return bytes;
}

}  // namespace edge_infer
