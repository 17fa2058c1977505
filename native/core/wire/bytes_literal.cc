#include "wire/bytes_literal.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "error.h"

namespace edge_infer {
namespace {

[[noreturn]] void fail(size_t position, const std::string& detail) {
  throw Error(ErrorCode::bad_image, "Expected a Python bytes literal (b'\\xff\\xd8…') but " + detail +
                                        " at character " + std::to_string(position) + " of its JSON string");
}

uint8_t decode_escape(JsonCharacters& text) {
  const size_t position = text.position();
  if (text.done()) fail(position, "it ends in the middle of an escape");
  const uint32_t kind = text.next();
  switch (kind) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '\\':
    case '\'':
    case '"':
      return static_cast<uint8_t>(kind);
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
    default:
      fail(position, "there is an escape that is none of \\xNN \\n \\r \\t \\\\ \\' \\\"");
  }
}

constexpr int kClosingQuote = -1;

/// The next byte of the literal's content, or kClosingQuote.
int next_byte(JsonCharacters& text, uint32_t quote) {
  if (text.done()) fail(text.position(), "the closing quote is missing");
  const size_t position = text.position();
  const uint32_t character = text.next();
  if (character == quote) return kClosingQuote;
  if (character == '\\') return decode_escape(text);
  if (character < 0x20 || character >= 0x7F) fail(position, "there is a character that is not printable ASCII");
  return static_cast<int>(character);
}

/// A part of the text that begins and ends between two bytes of the content.
struct Part {
  const uint8_t* at;
  const uint8_t* end;
  uint8_t* output;
  uint8_t* to;
};

constexpr int kParts = 4;
constexpr size_t kWorthParting = 1024;
/// No byte is spelled longer than `\\u005c\\u0078\\u0066\\u0066`.
constexpr int kMargin = 24;

/// The first place from `at` on where a byte of the content begins, if the text is as Python and JSON write it: no
/// escape reaches over three characters that are no backslash.
const uint8_t* next_boundary(const uint8_t* at, const uint8_t* end) {
  int plain = 0;
  while (at != end && plain < 3) plain = *at++ == '\\' ? 0 : plain + 1;
  return at;
}

enum Kind : uint8_t { plain, backslash, other };

/// Printable ASCII but the quotes stands for itself.
constexpr std::array<Kind, 256> make_kinds() {
  std::array<Kind, 256> table{};
  for (int c = 0; c < 256; ++c) table[c] = c >= 0x20 && c < 0x7F && c != '\'' && c != '"' ? plain : other;
  table['\\'] = backslash;
  return table;
}

constexpr std::array<Kind, 256> kKinds = make_kinds();
/// `\\xNN`
constexpr int kEscapeLength = 5;

/// Decodes plain ASCII or an escape of five characters (JSON doubles the backslash), without a branch that depends on
/// which it is. False, and nothing done, for anything else.
inline bool decode_simple_byte(const uint8_t*& at, uint8_t*& to) {
  const int kind = kKinds[at[0]];
  const int escaped = hex_digit(at[3]) * 16 | hex_digit(at[4]);
  const int no_escape = (at[1] ^ '\\') | (at[2] ^ 'x') | (escaped & ~0xFF);
  const int mask = -(kind & backslash);
  if ((kind & other) | (no_escape & mask)) return false;
  *to++ = static_cast<uint8_t>((at[0] & ~mask) | (escaped & mask));
  at += 1 + ((kEscapeLength - 1) & mask);
  return true;
}

void decode_any_byte(Part& part, const JsonCharacters& text, uint32_t quote) {
  JsonCharacters rest = text;
  rest.advance_to(part.at);
  const int byte = next_byte(rest, quote);
  if (byte == kClosingQuote) fail(rest.position(), "something follows the closing quote");
  *part.to++ = static_cast<uint8_t>(byte);
  part.at = rest.cursor();
}

/// Decodes `rounds` bytes of each part, or fewer: up to the first that is not simple. The pointers are kept apart from
/// the parts so that they stay in registers.
void decode_together(Part (&parts)[kParts], ptrdiff_t rounds) {
  const uint8_t *at0 = parts[0].at, *at1 = parts[1].at, *at2 = parts[2].at, *at3 = parts[3].at;
  uint8_t *to0 = parts[0].to, *to1 = parts[1].to, *to2 = parts[2].to, *to3 = parts[3].to;
  for (; rounds > 0; --rounds) {
    const bool all = decode_simple_byte(at0, to0) & decode_simple_byte(at1, to1) & decode_simple_byte(at2, to2) &
                     decode_simple_byte(at3, to3);
    if (!all) break;
  }
  parts[0].at = at0, parts[1].at = at1, parts[2].at = at2, parts[3].at = at3;
  parts[0].to = to0, parts[1].to = to1, parts[2].to = to2, parts[3].to = to3;
}

/// Decodes all but the end of a long text. Where a byte begins depends on the one before it, so a walk through the text
/// mostly waits; four at once do not. False where the text has no such parts.
bool decode_in_parts(JsonCharacters& text, uint32_t quote, uint8_t*& out) {
  const uint8_t* const begin = text.cursor();
  const size_t length = static_cast<size_t>(text.end() - begin);
  if (length < kWorthParting) return true;
  const uint8_t* const end = text.end() - kMargin;
  Part parts[kParts];
  for (int i = 0; i < kParts; ++i) {
    const uint8_t* const from = i == 0 ? begin : parts[i - 1].end;
    const bool last = i + 1 == kParts;
    const uint8_t* const to = last ? end : next_boundary(begin + length / kParts * (i + 1), end);
    if (!last && to == end) return false;
    parts[i] = {from, to, out + (from - begin), out + (from - begin)};
  }
  const auto left = [](const Part& part) { return part.end - part.at; };
  while (true) {
    const ptrdiff_t least = std::min({left(parts[0]), left(parts[1]), left(parts[2]), left(parts[3])});
    if (least < kMargin) break;
    decode_together(parts, least / kEscapeLength);
    for (Part& part : parts) {
      if (left(part) > 0 && !decode_simple_byte(part.at, part.to)) decode_any_byte(part, text, quote);
    }
  }
  for (Part& part : parts) {
    while (left(part) > 0) {
      if (!decode_simple_byte(part.at, part.to)) decode_any_byte(part, text, quote);
    }
    if (left(part) < 0 && &part != &parts[kParts - 1]) return false;
    const auto size = static_cast<size_t>(part.to - part.output);
    std::memmove(out, part.output, size);
    out += size;
  }
  text.advance_to(parts[kParts - 1].at);
  return true;
}

/// Decodes the content from `text` on, in one walk.
void decode_rest(JsonCharacters text, uint32_t quote, uint8_t* to, Bytes& bytes) {
  for (int byte = next_byte(text, quote); byte != kClosingQuote; byte = next_byte(text, quote)) {
    *to++ = static_cast<uint8_t>(byte);
  }
  if (!text.done()) fail(text.position(), "something follows the closing quote");
  bytes.resize(static_cast<size_t>(to - bytes.data()));
}

}  // namespace

Bytes decode_bytes_literal(JsonCharacters text) {
  if (text.done() || text.next() != 'b') fail(0, "the b is missing");
  const uint32_t quote = text.done() ? 0 : text.next();
  if (quote != '\'' && quote != '"') fail(1, "no quote follows the b");
  Bytes bytes(static_cast<size_t>(text.end() - text.cursor()));
  JsonCharacters rest = text;
  uint8_t* to = bytes.data();
  bool done = false;
  try {
    done = decode_in_parts(rest, quote, to);
  } catch (const Error&) {
  }
  // Once more in one walk, also so that a message tells the first fault.
  if (!done)
    decode_rest(text, quote, bytes.data(), bytes);
  else
    decode_rest(rest, quote, to, bytes);
  return bytes;
}

std::string encode_bytes_literal(ByteView bytes) {
  const auto has = [&](char c) { return std::find(bytes.data, bytes.end(), static_cast<uint8_t>(c)) != bytes.end(); };
  const char quote = has('\'') && !has('"') ? '"' : '\'';
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
