#include "wire/nested_list.h"

#include <array>
#include <climits>
#include <opencv2/imgproc.hpp>
#include <string>

#include "error.h"
#include "image/image_header.h"

namespace edge_infer {
namespace {

/// What the low halves of three characters spell, as `value | length << 8`: a number of up to three digits and what
/// follows it. Length 0 where that is no whole number from 0 to 255.
constexpr std::array<uint16_t, 4096> make_numbers() {
  std::array<uint16_t, 4096> table{};
  for (unsigned word = 0; word < table.size(); ++word) {
    const unsigned digits[] = {word & 15, word >> 4 & 15, word >> 8};
    unsigned value = 0, length = 0;
    while (length < 3 && digits[length] < 10) value = value * 10 + digits[length++];
    if (value > 255 || (length > 1 && digits[0] == 0)) value = length = 0;
    table[word] = static_cast<uint16_t>(value | length << 8);
  }
  return table;
}

constexpr std::array<uint16_t, 4096> kNumbers = make_numbers();

/// The word whose lowest byte lies first; compilers make one load of it.
template <typename Word>
Word little_endian(const uint8_t* at) {
  Word word = 0;
  for (size_t i = 0; i < sizeof word; ++i) word |= static_cast<Word>(at[i]) << (8 * i);
  return word;
}

/// Index of the first ']' of eight bytes; 7 where there is none.
inline int first_bracket(const uint8_t* at) {
  const uint64_t bytes = little_endian<uint64_t>(at) ^ 0x5D5D5D5D5D5D5D5D;
  const uint64_t zeros = (bytes - 0x0101010101010101) & ~bytes & 0x8080808080808080;
  return __builtin_ctzll(zeros | uint64_t{1} << 63) >> 3;
}

struct Number {
  uint8_t value;
  unsigned length;
  /// Whether the characters are digits in full, and not only in their low halves.
  bool valid;
};

/// The number that begins at `at`, of which four bytes can be read. Without a branch: numbers of one, two and three
/// digits follow each other at random.
inline Number read_number(const uint8_t* at) {
  const auto word = little_endian<uint32_t>(at);
  const uint16_t entry = kNumbers[(word & 15) | (word >> 4 & 0xF0) | (word >> 8 & 0xF00)];
  const unsigned length = entry >> 8;
  static constexpr uint32_t kHighHalves[] = {0, 0xF0, 0xF0F0, 0xF0F0F0};
  const bool digits = ((word ^ 0x30303030) & kHighHalves[length]) == 0;
  return {static_cast<uint8_t>(entry), length, length != 0 && digits};
}

class Parser {
 public:
  Parser(ByteView json, const std::atomic<bool>* cancelled)
      : at_(json.data), begin_(json.data), end_(json.end()), cancelled_(cancelled) {
    if (json.size > INT_MAX) throw Error(ErrorCode::too_large, "A nested list must be smaller than 2 GiB");
    // A value takes two characters at least.
    values_.create(1, static_cast<int>(json.size / 2 + 1), CV_8UC1);
    to_ = values_.data;
  }

  Frame parse() {
    expect('[', "the list of rows");
    do {
      parse_row();
      ++rows_;
      if (cancelled_ && cancelled_->load(std::memory_order_relaxed)) {
        throw Error(ErrorCode::aborted, "The call was cancelled while its image was decoded");
      }
    } while (another());
    return frame();
  }

  void expect_end() {
    skip_space();
    if (at_ != end_) fail("something follows the list");
  }

  size_t position() const { return static_cast<size_t>(at_ - begin_); }

 private:
  void parse_row() {
    expect('[', "a row");
    int64_t pixels = 0;
    skip_space();
    if (at_ != end_ && *at_ == ']') fail("row " + std::to_string(rows_) + " is empty");
    const bool grey = at_ != end_ && *at_ != '[';
    const int channels = grey ? 1 : 3;
    if (rows_ == 0) channels_ = channels;
    if (channels != channels_) fail("row " + std::to_string(rows_) + " has other channels than the rows before it");
    do {
      if (grey) {
        parse_value();
      } else {
        pixels += parse_plain_pixels<2>() + parse_plain_pixels<1>();
        parse_pixel();
      }
      ++pixels;
    } while (another());
    if (rows_ == 0) width_ = pixels;
    if (pixels != width_) {
      fail("row " + std::to_string(rows_) + " has " + std::to_string(pixels) + " pixels where the first has " +
           std::to_string(width_));
    }
    check_image_size("The nested list", width_, rows_ + 1);
  }

  /// Reads pixels as serialisers write them, `[b, g, r], [` with `Gap` characters from number to number, as long as
  /// they do and another pixel follows; returns how many. Stops before anything else.
  template <int Gap>
  int64_t parse_plain_pixels() {
    constexpr int kShortest = 3 + 2 * Gap;
    constexpr int kLongest = 9 + 2 * Gap;
    const auto is_gap = [](const uint8_t* at) { return at[0] == ',' && (Gap == 1 || at[1] == ' '); };
    const uint8_t* at = at_;
    uint8_t* to = to_;
    int64_t pixels = 0;
    if (at != end_ && *at == '[') {
      // From here `at` is behind the pixel's opening bracket.
      for (++at; end_ - at >= kLongest + 8; ++pixels) {
        // Where the next pixel begins is found first, apart from the numbers, so that pixels are worked on side by
        // side.
        const uint8_t* const after = at + kShortest + first_bracket(at + kShortest);
        const Number blue = read_number(at);
        const uint8_t* const second = at + blue.length + Gap;
        const Number green = read_number(second);
        const uint8_t* const third = second + green.length + Gap;
        const Number red = read_number(third);
        const bool plain = blue.valid & green.valid & red.valid & (third + red.length == after) & is_gap(second - Gap) &
                           is_gap(third - Gap) & (after[0] == ']') & is_gap(after + 1) & (after[1 + Gap] == '[');
        if (!plain) break;
        to[0] = blue.value;
        to[1] = green.value;
        to[2] = red.value;
        to += 3;
        at = after + 2 + Gap;
      }
      --at;
    }
    at_ = at;
    to_ = to;
    return pixels;
  }

  void parse_pixel() {
    expect('[', "a pixel");
    const uint8_t* const first = to_;
    do {
      parse_value();
    } while (another());
    if (to_ - first != 3) {
      fail("a pixel of row " + std::to_string(rows_) + " has " + std::to_string(to_ - first) + " channels");
    }
  }

  void parse_value() {
    skip_space();
    const uint8_t* at = at_;
    unsigned value = 0;
    while (at != end_ && *at >= '0' && *at <= '9' && at - at_ < 4) value = value * 10 + (*at++ - '0');
    const auto digits = at - at_;
    const bool leading_zero = digits > 1 && *at_ == '0';
    if (digits == 0 || leading_zero || value > 255 || (at != end_ && (*at == '.' || *at == 'e' || *at == 'E'))) {
      fail("row " + std::to_string(rows_) + " has a value that is no integer from 0 to 255");
    }
    *to_++ = static_cast<uint8_t>(value);
    at_ = at;
  }

  /// After an item: true for a comma, false for the closing bracket.
  bool another() {
    skip_space();
    if (at_ == end_) fail("it ends before its closing bracket");
    const uint8_t c = *at_++;
    if (c == ',') return true;
    if (c == ']') return false;
    --at_;
    fail("there is neither a comma nor a closing bracket");
  }

  void expect(char c, const char* what) {
    skip_space();
    if (at_ == end_ || *at_ != static_cast<uint8_t>(c)) fail(std::string("there is no list for ") + what);
    ++at_;
  }

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  [[noreturn]] void fail(const std::string& detail) const {
    throw Error(ErrorCode::bad_image,
                "Expected a nested list of height x width x 3 (BGR) or height x width integers from 0 to 255, but " +
                    detail + " (character " + std::to_string(at_ - begin_) + ")");
  }

  Frame frame() {
    const int width = static_cast<int>(width_);
    const int height = static_cast<int>(rows_);
    const cv::Mat source = values_.colRange(0, static_cast<int>(to_ - values_.data)).reshape(channels_, height);
    if (channels_ == 3) return {source, width, height};
    cv::Mat pixels;
    cv::cvtColor(source, pixels, cv::COLOR_GRAY2BGR);
    return {pixels, width, height};
  }

  const uint8_t* at_;
  const uint8_t* begin_;
  const uint8_t* end_;
  const std::atomic<bool>* cancelled_;
  /// One byte a value; `to_` is where the next one goes.
  cv::Mat values_;
  uint8_t* to_;
  int channels_ = 0;
  int64_t width_ = 0;
  int64_t rows_ = 0;
};

}  // namespace

Frame decode_nested_list(ByteView json, const std::atomic<bool>* cancelled) {
  Parser parser(json, cancelled);
  Frame frame = parser.parse();
  parser.expect_end();
  return frame;
}

Frame decode_nested_list_prefix(ByteView json, const std::atomic<bool>* cancelled, size_t& length) {
  Parser parser(json, cancelled);
  Frame frame = parser.parse();
  length = parser.position();
  return frame;
}

}  // namespace edge_infer
