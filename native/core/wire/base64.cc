#include "wire/base64.h"

#include <array>
#include <string>

#include "error.h"

namespace edge_infer {
namespace {

constexpr uint8_t kInvalid = 0xFF;
constexpr uint8_t kSpace = 0xFE;
constexpr uint8_t kPadding = 0xFD;

constexpr std::array<uint8_t, 256> make_table() {
  std::array<uint8_t, 256> table{};
  for (auto& entry : table) entry = kInvalid;
  for (int i = 0; i < 26; ++i) {
    table['A' + i] = static_cast<uint8_t>(i);
    table['a' + i] = static_cast<uint8_t>(26 + i);
  }
  for (int i = 0; i < 10; ++i) table['0' + i] = static_cast<uint8_t>(52 + i);
  table['+'] = table['-'] = 62;
  table['/'] = table['_'] = 63;
  table[' '] = table['\n'] = table['\r'] = table['\t'] = kSpace;
  table['='] = kPadding;
  return table;
}

constexpr std::array<uint8_t, 256> kTable = make_table();

[[noreturn]] void fail(const std::string& detail) {
  throw Error(ErrorCode::bad_image, "Expected base64 of an image file but " + detail);
}

}  // namespace

Bytes decode_base64(ByteView text) {
  Bytes out(text.size / 4 * 3 + 3);
  uint8_t* to = out.data();
  size_t at = 0;

  uint32_t bits = 0;
  int held = 0;
  while (at < text.size) {
    if (held == 0 && at + 4 <= text.size) {
      const uint8_t a = kTable[text.data[at]], b = kTable[text.data[at + 1]];
      const uint8_t c = kTable[text.data[at + 2]], d = kTable[text.data[at + 3]];
      if ((a | b | c | d) < 64) {
        const uint32_t group = static_cast<uint32_t>(a) << 18 | b << 12 | c << 6 | d;
        *to++ = static_cast<uint8_t>(group >> 16);
        *to++ = static_cast<uint8_t>(group >> 8);
        *to++ = static_cast<uint8_t>(group);
        at += 4;
        continue;
      }
    }
    const uint8_t value = kTable[text.data[at]];
    if (value == kPadding) break;
    if (value == kInvalid) fail("character " + std::to_string(at) + " is not of its alphabet");
    ++at;
    if (value == kSpace) continue;
    bits = bits << 6 | value;
    if (++held == 4) {
      *to++ = static_cast<uint8_t>(bits >> 16);
      *to++ = static_cast<uint8_t>(bits >> 8);
      *to++ = static_cast<uint8_t>(bits);
      bits = 0;
      held = 0;
    }
  }
  int padding = 0;
  for (; at < text.size; ++at) {
    const uint8_t value = kTable[text.data[at]];
    padding += value == kPadding;
    if (value != kPadding && value != kSpace) fail("character " + std::to_string(at) + " follows its padding");
  }
  if (held == 1) fail("its length is not that of whole bytes");
  if (padding != 0 && (held == 0 || padding != 4 - held)) fail("its padding has the wrong length");
  if (held == 2) *to++ = static_cast<uint8_t>(bits >> 4);
  if (held == 3) {
    *to++ = static_cast<uint8_t>(bits >> 10);
    *to++ = static_cast<uint8_t>(bits >> 2);
  }
  out.resize(static_cast<size_t>(to - out.data()));
  return out;
}

}  // namespace edge_infer
