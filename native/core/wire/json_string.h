#pragma once

#include "bytes.h"

namespace edge_infer {

/// Reads the characters of a JSON string one by one, undoing JSON's escapes.
/// `at` and `end` bound the text between the quotes. Throws BAD_IMAGE for an escape JSON does not have.
class JsonCharacters {
 public:
  JsonCharacters(const uint8_t* at, const uint8_t* end) : begin_(at), at_(at), end_(end) {}

  bool done() const { return at_ == end_; }
  /// Position in the JSON text, for messages.
  size_t position() const { return static_cast<size_t>(at_ - begin_); }
  /// The next code point (surrogate halves are given as they stand).
  uint32_t next();

  const uint8_t* cursor() const { return at_; }
  const uint8_t* end() const { return end_; }
  void advance_to(const uint8_t* at) { at_ = at; }

 private:
  uint32_t next_escape();
  uint32_t next_multibyte(uint8_t lead);

  const uint8_t* begin_;
  const uint8_t* at_;
  const uint8_t* end_;
};

/// 0 to 15, or -1 for a character that is no hexadecimal digit.
inline int hex_digit(uint8_t character) {
  struct Table {
    constexpr Table() {
      for (auto& entry : of) entry = -1;
      for (int i = 0; i < 10; ++i) of['0' + i] = static_cast<int8_t>(i);
      for (int i = 0; i < 6; ++i) of['a' + i] = of['A' + i] = static_cast<int8_t>(10 + i);
    }
    int8_t of[256] = {};
  };
  static constexpr Table kTable;
  return kTable.of[character];
}

/// The bytes of a string that holds one byte a character (code points 0 to 255).
Bytes latin1_bytes(JsonCharacters text);

}  // namespace edge_infer
