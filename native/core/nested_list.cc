#include "nested_list.h"

#include <opencv2/imgproc.hpp>
#include <string>

#include "error.h"
#include "image_header.h"

namespace edge_infer {
namespace {

class Parser {
 public:
  Parser(ByteView json, const std::atomic<bool>* cancelled) : at_(json.data), begin_(json.data), end_(json.end()), cancelled_(cancelled) {}

  Frame parse() {
    values_.reserve(static_cast<size_t>(end_ - begin_) / 4 + 16);
    expect('[', "the list of rows");
    do {
      parse_row();
      ++rows_;
      if (cancelled_ && cancelled_->load(std::memory_order_relaxed)) {
        throw Error("ABORTED", "The call was cancelled while its image was decoded");
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
    const size_t first = values_.size();
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
        parse_pixel();
      }
      ++pixels;
    } while (another());
    if (rows_ == 0) width_ = pixels;
    if (pixels != width_) {
      fail("row " + std::to_string(rows_) + " has " + std::to_string(pixels) + " pixels where the first has " +
           std::to_string(width_));
    }
    if (values_.size() - first != static_cast<size_t>(pixels) * channels_) fail("a pixel has other than 3 channels");
    check_image_size("The nested list", width_, rows_ + 1);
  }

  void parse_pixel() {
    expect('[', "a pixel");
    const size_t first = values_.size();
    do {
      parse_value();
    } while (another());
    if (values_.size() - first != 3) {
      fail("a pixel of row " + std::to_string(rows_) + " has " + std::to_string(values_.size() - first) + " channels");
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
    values_.push_back(static_cast<uint8_t>(value));
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
    throw Error("BAD_IMAGE", "Expected a nested list of height x width x 3 (BGR) or height x width integers from 0 to 255, but " +
                                 detail + " (character " + std::to_string(at_ - begin_) + ")");
  }

  Frame frame() {
    const int width = static_cast<int>(width_);
    const int height = static_cast<int>(rows_);
    const cv::Mat source(height, width, CV_8UC(channels_), values_.data());
    cv::Mat pixels;
    if (channels_ == 1) {
      cv::cvtColor(source, pixels, cv::COLOR_GRAY2BGR);
    } else {
      pixels = source.clone();
    }
    return {pixels, width, height};
  }

  const uint8_t* at_;
  const uint8_t* begin_;
  const uint8_t* end_;
  const std::atomic<bool>* cancelled_;
  Bytes values_;
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
