#include "wire/request_images.h"

#include <cstring>
#include <string_view>

#include "error.h"
#include "wire/json_string.h"
#include "wire/nested_list.h"

namespace edge_infer {
namespace {

bool is_image_key(std::string_view key) { return key == "image"; }
bool is_list_key(std::string_view key) { return key == "image_list" || key == "clip" || key == "faces"; }

/// The key of an image or a list whose name has escapes in it; any other name as it is written.
std::string_view unescaped(std::string_view key) {
  std::string name;
  try {
    const auto* const text = reinterpret_cast<const uint8_t*>(key.data());
    for (JsonCharacters characters(text, text + key.size()); !characters.done();) {
      const uint32_t code = characters.next();
      if (code >= 0x80) return key;
      name += static_cast<char>(code);
    }
  } catch (const Error&) {
    return key;
  }
  for (const std::string_view known : {"image", "image_list", "clip", "faces"}) {
    if (known == name) return known;
  }
  return key;
}

class Extractor {
 public:
  explicit Extractor(ByteView json) : begin_(json.data), at_(json.data), end_(json.end()) {}

  ExtractedRequest extract() {
    if (end_ - at_ >= 3 && std::memcmp(at_, "\xEF\xBB\xBF", 3) == 0) at_ += 3;
    skip_space();
    if (at_ == end_ || *at_ != '{') fail("Expected a JSON object");
    ++at_;
    request_.rest = "{";
    skip_space();
    if (at_ != end_ && *at_ == '}') {
      ++at_;
    } else {
      while (member()) {
      }
    }
    skip_space();
    if (at_ != end_) fail("Something follows the JSON object");
    request_.rest += '}';
    return std::move(request_);
  }

 private:
  /// Reads `"key": value`; true when another member follows.
  bool member() {
    skip_space();
    const uint8_t* const begin = at_;
    const ByteView quoted = string("Expected a member's name");
    std::string_view key(reinterpret_cast<const char*>(quoted.data), quoted.size);
    if (key.find('\\') != key.npos) key = unescaped(key);
    skip_space();
    if (at_ == end_ || *at_ != ':') fail("Expected a colon after a member's name");
    ++at_;
    skip_space();
    if (is_image_key(key)) {
      if (!absent()) image(key);
    } else if (is_list_key(key)) {
      if (!absent()) image_list(key);
    } else {
      skip_value();
      keep(begin);
    }
    skip_space();
    if (at_ == end_) fail("The JSON object ends before its closing brace");
    const uint8_t next = *at_++;
    if (next == ',') return true;
    if (next == '}') return false;
    --at_;
    fail("Expected a comma or a closing brace");
  }

  void keep(const uint8_t* member_begin) {
    const auto length = static_cast<size_t>(at_ - member_begin);
    if (request_.rest.size() + length > kMaxRestBytes) {
      throw Error(ErrorCode::too_large, "What is not an image must have at most " + std::to_string(kMaxRestBytes) +
                                            " bytes of JSON, but the request has more");
    }
    if (request_.rest.size() > 1) request_.rest += ',';
    request_.rest.append(reinterpret_cast<const char*>(member_begin), length);
  }

  bool absent() {
    if (end_ - at_ < 4 || std::memcmp(at_, "null", 4) != 0) return false;
    at_ += 4;
    return true;
  }

  void image_list(std::string_view key) {
    if (at_ == end_ || *at_ != '[') {
      throw Error(ErrorCode::bad_image, "Expected " + std::string(key) + " to be a list of images");
    }
    ++at_;
    request_.lists.emplace_back(key);
    skip_space();
    if (at_ != end_ && *at_ == ']') {
      ++at_;
      return;
    }
    while (true) {
      skip_space();
      image(key);
      skip_space();
      if (at_ == end_) fail("The list of images ends before its closing bracket");
      const uint8_t next = *at_++;
      if (next == ']') return;
      if (next != ',') {
        --at_;
        fail("Expected a comma or a closing bracket in the list of images");
      }
    }
  }

  void image(std::string_view key) {
    if (request_.images.size() == kMaxImages) {
      throw Error(ErrorCode::too_large, "A request may carry at most " + std::to_string(kMaxImages) + " images");
    }
    ExtractedImage image;
    image.key = key;
    try {
      read_image(image);
    } catch (const Error& error) {
      const std::string place =
          is_list_key(key) ? std::string(key) + "[" + std::to_string(position_in(key)) + "]" : std::string(key);
      throw Error(error.code(), place + ": " + error.what());
    }
    request_.images.push_back(std::move(image));
  }

  void read_image(ExtractedImage& image) {
    if (at_ != end_ && *at_ == '"') {
      WireFile file = decode_wire_string(string(""));
      image.encoding = file.encoding;
      image.data = std::move(file.bytes);
      return;
    }
    if (at_ != end_ && *at_ == '[') {
      size_t length = 0;
      image.pixels = decode_nested_list_prefix({at_, static_cast<size_t>(end_ - at_)}, nullptr, length).pixels;
      at_ += length;
      image.encoding = ImageEncoding::nested_list;
      return;
    }
    throw Error(ErrorCode::bad_image, "Expected a string or a nested list but received another kind of JSON value");
  }

  size_t position_in(std::string_view key) const {
    size_t count = 0;
    for (const ExtractedImage& image : request_.images) count += image.key == key;
    return count;
  }

  /// A string's text between its quotes; escapes are left as they stand.
  ByteView string(const char* expected) {
    if (at_ == end_ || *at_ != '"') fail(expected);
    const uint8_t* const text = ++at_;
    while (true) {
      const void* const quote = std::memchr(at_, '"', static_cast<size_t>(end_ - at_));
      if (!quote) fail("A string ends before its closing quote");
      at_ = static_cast<const uint8_t*>(quote) + 1;
      const uint8_t* slash = at_ - 1;
      while (slash != text && slash[-1] == '\\') --slash;
      if ((at_ - 1 - slash) % 2 == 0) return {text, static_cast<size_t>(at_ - 1 - text)};
    }
  }

  void skip_value() {
    int depth = 0;
    do {
      skip_space();
      if (at_ == end_) fail("The JSON object ends in the middle of a value");
      const uint8_t c = *at_;
      if (c == '"') {
        string("");
      } else if (c == '[' || c == '{') {
        if (++depth > kMaxRestDepth) {
          throw Error(ErrorCode::bad_request,
                      "Members other than images may be nested at most " + std::to_string(kMaxRestDepth) + " deep");
        }
        ++at_;
      } else if (c == ']' || c == '}') {
        if (--depth < 0) fail("Expected a value");
        ++at_;
      } else if (depth > 0 && (c == ',' || c == ':')) {
        ++at_;
      } else {
        skip_scalar();
      }
    } while (depth > 0);
  }

  void skip_scalar() {
    const uint8_t* const begin = at_;
    while (at_ != end_ && std::strchr(",:]}[{\" \n\r\t", *at_) == nullptr) ++at_;
    if (at_ == begin) fail("Expected a value");
  }

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::bad_request, what + " at byte " + std::to_string(at_ - begin_) + " of the body");
  }

  const uint8_t* begin_;
  const uint8_t* at_;
  const uint8_t* end_;
  ExtractedRequest request_;
};

}  // namespace

ExtractedRequest extract_images(ByteView json) { return Extractor(json).extract(); }

}  // namespace edge_infer
