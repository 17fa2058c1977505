#include <doctest/doctest.h>

#include <cstdio>
#include <memory>
#include <opencv2/core.hpp>
#include <random>
#include <sstream>

#include "pictures.h"
#include "wire/base64.h"
#include "wire/bytes_literal.h"
#include "wire/nested_list.h"
#include "wire/wire_image.h"

using namespace edge_infer;
using pictures::error_of;

namespace {

ByteView view(const std::string& text) { return ByteView(std::string_view(text)); }

JsonCharacters characters(const std::string& text) { return {view(text).data, view(text).end()}; }

Bytes from_literal(const std::string& text) { return decode_bytes_literal(characters(text)); }

Bytes random_bytes(std::mt19937& random, size_t size) {
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

/// What JSON makes of a text that holds no control characters.
std::string json_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string base64(const Bytes& bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    const size_t size = std::min<size_t>(3, bytes.size() - at);
    for (size_t i = 0; i < 3; ++i) group = group << 8 | (i < size ? bytes[at + i] : 0);
    for (size_t i = 0; i < 4; ++i) text += i <= size ? kAlphabet[group >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

std::string listed(const cv::Mat& pixels, const std::string& separator) {
  std::ostringstream text;
  text << '[';
  for (int y = 0; y < pixels.rows; ++y) {
    text << (y ? separator : "") << '[';
    for (int x = 0; x < pixels.cols; ++x) {
      const cv::Vec3b& p = pixels.at<cv::Vec3b>(y, x);
      text << (x ? separator : "") << '[' << int{p[0]} << separator << int{p[1]} << separator << int{p[2]} << ']';
    }
    text << ']';
  }
  return text.str() + ']';
}

Frame from_list(const std::string& text) { return decode_nested_list(view(text), nullptr); }

WireImage from_json(const std::string& text) { return decode_wire_image(view(text), {}); }

}  // namespace

TEST_CASE("bytes literals as Python writes them") {
  // One line a case: the bytes in hexadecimal, and what json.dumps makes of str(bytes), without its quotes.
  const std::unique_ptr<FILE, int (*)(FILE*)> python(popen(R"(python3 -c "
import json, random
random.seed(7)
quote, double = chr(39).encode(), chr(34).encode()
cases = [b'', bytes(range(256)), quote, double, quote + double, quote * 3000, double * 3000, bytes([92]) * 3000]
cases += [random.randbytes(size) for size in (1, 2, 3, 30, 1000, 5000, 100000)]
cases += [case.replace(double, b'x') + quote for case in cases]
cases += [bytes([92, 120, 52, 49]) * 900, bytes([10, 13, 9, 0]) * 900, b'plain text only ' * 300]
for case in cases:
    print(case.hex() or '-', json.dumps(str(case))[1:-1])
")",
                                                           "r"),
                                                     pclose);
  REQUIRE(python != nullptr);
  std::string output;
  char buffer[65536];
  for (size_t size; (size = std::fread(buffer, 1, sizeof buffer, python.get())) > 0;) output.append(buffer, size);
  std::istringstream lines(output);
  int cases = 0;
  for (std::string line; std::getline(lines, line); ++cases) {
    CAPTURE(cases);
    const size_t space = line.find(' ');
    Bytes expected;
    for (size_t at = 0; at + 1 < space; at += 2) {
      expected.push_back(static_cast<uint8_t>(std::stoi(line.substr(at, 2), nullptr, 16)));
    }
    const std::string json = line.substr(space + 1);
    CHECK(from_literal(json) == expected);
    CHECK(json_escaped(encode_bytes_literal(expected)) == json);
  }
  CHECK(cases == 33);
}

TEST_CASE("bytes literals in unusual spellings of JSON") {
  CHECK(from_literal(R"(b'\u005cx41\\x4\u0032C')") == Bytes{'A', 'B', 'C'});
  CHECK(from_literal(R"(b\u0027\\xff\u0027)") == Bytes{0xFF});
  std::string text = "b'", hexadecimal = "b'";
  Bytes expected;
  for (int i = 0; i < 3000; ++i) {
    text += i % 3 ? "\\u005cx4\\u0031" : "\\u005c\\u0078\\u0034\\u0031";
    expected.push_back('A');
  }
  CHECK(from_literal(text + "'") == expected);
}

TEST_CASE("malformed bytes literals are refused where they break") {
  const std::string long_prefix = "b'" + [] {
    std::string text;
    for (int i = 0; i < 2000; ++i) text += i % 2 ? "\\\\xd8" : "k";
    return text;
  }();
  for (const std::string& prefix : {std::string("b'"), long_prefix}) {
    const auto refused_at = [&](const std::string& rest) {
      const auto error = error_of([&] { from_literal(prefix + rest); });
      CHECK(error.first == "BAD_IMAGE");
      const size_t at = error.second.find_last_of("0123456789");
      const size_t begin = error.second.find_last_not_of("0123456789", at) + 1;
      return at == std::string::npos
                 ? -1
                 : std::stol(error.second.substr(begin, at + 1 - begin)) - static_cast<long>(prefix.size());
    };
    CHECK(refused_at("") == 0);
    CHECK(refused_at("abc") == 3);
    CHECK(refused_at("a'b'") == 2);
    CHECK(refused_at("a\\\\x4'") == 3);
    CHECK(refused_at("a\\\\xg0'") == 3);
    CHECK(refused_at("a\\\\x4") >= 0);
    CHECK(refused_at("a\\\\q'") == 3);
    CHECK(refused_at("a\\\\0'") == 3);
    CHECK(refused_at("a\\\\N{DASH}'") == 3);
    CHECK(refused_at("ab\xC3\xBF'") == 2);
    CHECK(refused_at("ab\\u00ff'") == 2);
    CHECK(refused_at("ab\\n'") == 2);
    CHECK(refused_at("ab\x01'") == 2);
    CHECK(refused_at("ab\"'") == 2);
    CHECK(refused_at("ab\\x41'") == 2);
    CHECK(error_of([&] { from_literal(prefix + "ab\\"); }).first == "BAD_IMAGE");
  }
  // A fault in the first part of a long text is the one that is told, whatever follows.
  std::string two = long_prefix + "'";
  two[11] = '\x02';
  two[two.size() - 5] = '\x03';
  CHECK(error_of([&] { from_literal(two); }).second.find(" 11") != std::string::npos);
  for (const char* text : {"", "b", "bb''", "B'a'", "'a'", "b`a`", "br'a'"}) {
    CHECK(error_of([&] { from_literal(text); }).first == "BAD_IMAGE");
  }
}

TEST_CASE("mutated bytes literals never crash, and never differ between long and short texts") {
  std::mt19937 random(11);
  const std::string good = json_escaped(encode_bytes_literal(random_bytes(random, 2000)));
  const std::string stuff = "\\\\\\xxu'\"b0afZ \x7F\xFF";
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text = good;
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes) {
      text[2 + random() % (text.size() - 2)] = stuff[random() % stuff.size()];
    }
    refused += !error_of([&] { from_literal(text); }).first.empty();
  }
  CHECK(refused > 1000);
}

TEST_CASE("base64 in all its forms") {
  std::mt19937 random(3);
  for (size_t size : {1, 2, 3, 4, 5, 100, 999, 1000, 1001}) {
    const Bytes bytes = random_bytes(random, size);
    const std::string text = base64(bytes);
    std::string bare = text, url = text, lines;
    bare.erase(std::find(bare.begin(), bare.end(), '='), bare.end());
    for (char& c : url) c = c == '+' ? '-' : c == '/' ? '_' : c;
    for (size_t at = 0; at < text.size(); at += 76) lines += text.substr(at, 76) + "\r\n";
    for (const std::string& form : {text, bare, url, lines}) CHECK(decode_base64(view(form)) == bytes);
  }
  CHECK(decode_base64(view("")) == Bytes{});
  for (const char* text :
       {"A", "AAAAA", "AA=", "AA===", "AAA==", "AAAA=", "=", "AA==AA==", "AA=A", "AA*A", "\xC3\xBF"}) {
    CAPTURE(text);
    CHECK(error_of([&] { decode_base64(view(text)); }).first == "BAD_IMAGE");
  }
  CHECK(error_of([] { decode_base64(view("AAAABBBB!CCC")); }).second.find("character 8") != std::string::npos);
}

TEST_CASE("every wire form gives the same picture and is told apart") {
  const cv::Mat scene = pictures::scene(40, 30);
  for (const char* format : {".png", ".bmp", ".webp", ".jpg"}) {
    CAPTURE(format);
    const Bytes file = pictures::encode(format, scene);
    const cv::Mat pixels = pictures::decode(file).pixels;
    std::string escaped, utf8;
    for (const uint8_t byte : file) {
      char text[8];
      std::snprintf(text, sizeof text, "\\u%04x", byte);
      escaped += text;
      if (byte >= 0x80) {
        utf8 += static_cast<char>(0xC0 | byte >> 6);
        utf8 += static_cast<char>(0x80 | (byte & 0x3F));
      } else {
        utf8 += byte < 0x20 || byte == '"' || byte == '\\' ? text : std::string(1, static_cast<char>(byte));
      }
    }
    std::string slashes;
    for (const char c : base64(file)) slashes += c == '/' ? std::string("\\/") : std::string(1, c);
    const std::pair<std::string, ImageEncoding> forms[] = {
        {json_escaped(encode_bytes_literal(file)), ImageEncoding::bytes_literal},
        {base64(file), ImageEncoding::base64},
        {slashes, ImageEncoding::base64},
        {"data:image/jpeg;base64," + base64(file), ImageEncoding::data_url},
        {"data:image\\/png;name=a;base64," + slashes, ImageEncoding::data_url},
        {escaped, ImageEncoding::latin1},
        {utf8, ImageEncoding::latin1},
    };
    for (const auto& [text, form] : forms) {
      CAPTURE(text.substr(0, 40));
      const WireImage image = from_json(" \"" + text + "\"\n");
      CHECK(image.encoding == form);
      CHECK(cv::norm(image.frame.pixels, pixels, cv::NORM_L1) == 0);
    }
  }
}

TEST_CASE("strings that are no image are refused") {
  for (const char* text : {"", "\"", "\"\"", "\"abc\"", "\"b'\\\\xff\"", "12", "null", "true", "{}",
                           "\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\"", "\"\xE0\x83\xBF\xE0\x83\x98\"", "\"\xC1\xBF\"",
                           "\"data:image/png,xyz\"", "\"data:,\"", "\"/9j/\"", "\"/9j/*\""}) {
    CAPTURE(text);
    CHECK(error_of([&] { from_json(text); }).first == "BAD_IMAGE");
  }
}

TEST_CASE("nested lists") {
  const cv::Mat scene = pictures::scene(37, 21);
  for (const char* separator : {", ", ",", " ,\n\t"}) {
    const Frame frame = from_list(listed(scene, separator));
    REQUIRE(frame.pixels.size() == scene.size());
    CHECK(cv::norm(frame.pixels, scene, cv::NORM_L1) == 0);
  }
  // Every number of digits beside every other.
  cv::Mat numbers(256, 256, CV_8UC3);
  for (int y = 0; y < 256; ++y) {
    for (int x = 0; x < 256; ++x)
      numbers.at<cv::Vec3b>(y, x) =
          cv::Vec3b(static_cast<uint8_t>(y), static_cast<uint8_t>(x), static_cast<uint8_t>(y * 7 + x));
  }
  for (const char* separator : {", ", ","})
    CHECK(cv::norm(from_list(listed(numbers, separator)).pixels, numbers, cv::NORM_L1) == 0);
  const Frame grey = from_list("[[0, 7], [100, 255]]");
  CHECK(grey.pixels.at<cv::Vec3b>(1, 1) == cv::Vec3b(255, 255, 255));
  CHECK(grey.pixels.at<cv::Vec3b>(0, 1) == cv::Vec3b(7, 7, 7));
  CHECK(from_list("[[[1,2,3]]]").pixels.at<cv::Vec3b>(0, 0) == cv::Vec3b(1, 2, 3));
}

TEST_CASE("malformed nested lists are refused where they break") {
  // Long enough for the fast way, which must notice all the same.
  std::string row = "[";
  for (int x = 0; x < 40; ++x) row += "[10, 200, 7], ";
  const std::string good_row = row.substr(0, row.size() - 2) + "]";
  const auto with = [&](const std::string& pixel) {
    return "[" + good_row + ", " + row + pixel + ", " + row.substr(1, row.size() - 3) + "]]";
  };
  for (const char* pixel : {"[1, 2]",        "[1, 2, 3, 4]",  "[]",           "[1, 2, 256]",
                            "[1, -2, 3]",    "[1, 2.0, 3]",   "[1e1, 2, 3]",  "[01, 2, 3]",
                            "[1, 2, 003]",   "[1, 2, 1000]",  "[1, true, 3]", "[1, null, 3]",
                            "[1, \"2\", 3]", "[1, 2, 3]]",    "[[1, 2, 3]",   "1",
                            "[1,, 3]",       "[1 2, 3]",      "[1, 2, 3,]",   "[1, 2, 3] [",
                            "[1;2;3]",       "[1, 2, :]",     "[q, 2, 3]",    "[1, 2, 3}",
                            "[1, 2, 3], 5",  "[1, 2, 3], []", "[768, 2, 3]",  "[1, 999, 3]"}) {
    CAPTURE(pixel);
    const std::string text = with(pixel);
    const auto error = error_of([&] { from_list(text); });
    CHECK(error.first == "BAD_IMAGE");
    const size_t at = error.second.find("(character ");
    REQUIRE(at != std::string::npos);
    const size_t position = std::stoul(error.second.substr(at + 11));
    CHECK(position >= text.find(row, 10) + row.size());
  }
  for (const char* text :
       {"[", "[]", "[[]]", "[[[]]]", "[[1], [2, 3]]", "[[[1, 2, 3]], [1]]", "[[[1, 2, 3]]", "[[[1, 2, 3]]]]",
        "[[[1, 2, 3]]] x", "[[1, 2],]", "[1, 2]", "[[[[1, 2, 3]]]]", "[[1, [2, 3, 4]]]", "[[-0]]"}) {
    CAPTURE(text);
    CHECK(error_of([&] { from_list(text); }).first == "BAD_IMAGE");
  }
  CHECK(error_of([] { from_list(std::string(1'000'000, '[')); }).first == "BAD_IMAGE");
  CHECK(error_of([] { from_list(std::string(1'000'000, '[') + std::string(1'000'000, ']')); }).first == "BAD_IMAGE");
  const std::string good = listed(pictures::scene(20, 3), ", ");
  for (size_t length = 0; length < good.size(); ++length)
    CHECK(error_of([&] { from_list(good.substr(0, length)); }).first == "BAD_IMAGE");
}
