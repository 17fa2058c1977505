#include "bytes_literal.h"

#include <cstring>
#include <string>

#include "error.h"

namespace edge_infer {
namespace {

[[noreturn]] void fail(size_t position, const std::string& detail) {
  throw Error("BAD_IMAGE", "Expected a Python bytes literal (b'\\xff\\xd8…') but " + detail + " at character " +
                               std::to_string(position) + " of its JSON string");
}

uint8_t decode_escape(JsonCharacters& text) {
  const size_t position = text.position();
  if (text.done()) fail(position, "it ends in the middle of an escape");
  const uint32_t kind = text.next();
  switch (kind) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case '\\':
    case '\'':
    case '"': return static_cast<uint8_t>(kind);
    case 'x': {
      int value = 0;
      for (int i = 0; i < 2; ++i) {
        if (text.done()) fail(text.position(), "\\x has fewer than two digits");
        const uint32_t digit = text.next();
        const int nibble = digit < 0x80 ? hex_digit(static_cast<uint8_t>(digit)) : -1;
        if (nibble < 0) fail(position, "\\x is not followed by two hexadecimal digits");
        value = value << 4 | nibble;
      }
      return static_cast<uint8_t>(value);
    }
    default: fail(position, "there is an escape that is none of \\xNN \\n \\r \\t \\\\ \\' \\\"");
  }
}

/// The bulk of a literal: `\\xNN` (as JSON doubles the backslash) and plain printable ASCII.
/// Stops at the first thing that is neither.
uint8_t* decode_bulk(JsonCharacters& text, uint8_t quote, uint8_t* to) {
  const uint8_t* at = text.cursor();
  const uint8_t* const end = text.end();
  while (end - at >= 5) {
    const uint8_t c = *at;
    if (c == '\\') {
      const int high = hex_digit(at[3]), low = hex_digit(at[4]);
      if (at[1] != '\\' || at[2] != 'x' || (high | low) < 0) break;
      *to++ = static_cast<uint8_t>(high << 4 | low);
      at += 5;
    } else if (c >= 0x20 && c < 0x7F && c != quote && c != '"') {
      *to++ = c;
      ++at;
    } else {
      break;
    }
  }
  text.advance_to(at);
  return to;
}

}  // namespace

Bytes decode_bytes_literal(JsonCharacters text) {
  const size_t length = static_cast<size_t>(text.end() - text.cursor());
  if (text.done() || text.next() != 'b') fail(0, "the b is missing");
  const uint32_t quote = text.done() ? 0 : text.next();
  if (quote != '\'' && quote != '"') fail(1, "no quote follows the b");

  Bytes bytes(length);
  uint8_t* to = bytes.data();
  while (true) {
    to = decode_bulk(text, static_cast<uint8_t>(quote), to);
    if (text.done()) fail(text.position(), "the closing quote is missing");
    const size_t position = text.position();
    const uint32_t character = text.next();
    if (character == quote) break;
    if (character == '\\') {
      *to++ = decode_escape(text);
    } else if (character >= 0x20 && character < 0x7F) {
      *to++ = static_cast<uint8_t>(character);
    } else {
      fail(position, "there is a character that is not printable ASCII");
    }
  }
  if (!text.done()) fail(text.position(), "something follows the closing quote");
  bytes.resize(static_cast<size_t>(to - bytes.data()));
  return bytes;
}

std::string encode_bytes_literal(ByteView bytes) {
  const bool has_single = std::memchr(bytes.data, '\'', bytes.size) != nullptr;
  const bool has_double = std::memchr(bytes.data, '"', bytes.size) != nullptr;
  const char quote = has_single && !has_double ? '"' : '\'';
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size * 3 + 3);
  text += 'b';
  text += quote;
  for (const uint8_t* at = bytes.data; at != bytes.end(); ++at) {
    const uint8_t c = *at;
    if (c == static_cast<uint8_t>(quote) || c == '\\') {
      text += '\\';
      text += static_cast<char>(c);
    } else if (c >= 0x20 && c < 0x7F) {
      text += static_cast<char>(c);
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\r') {
      text += "\\r";
    } else if (c == '\t') {
      text += "\\t";
    } else {
      text += "\\x";
      text += kDigits[c >> 4];
      text += kDigits[c & 15];
    }
  }
  text += quote;
  return text;
}

}  // namespace edge_infer
