#include <doctest/doctest.h>

#include <chrono>
#include <opencv2/imgproc.hpp>
#include <random>

#include "image/crop.h"
#include "pictures.h"

using namespace edge_infer;
using pictures::decode;
using pictures::difference;
using pictures::error_of;
using pictures::JpegVariant;

namespace {

struct Named {
  const char* name;
  Bytes file;
};

/// One file of every format and many of its variants.
std::vector<Named> every_variant(const cv::Mat& scene) {
  cv::Mat alpha, grey, deep, deep_alpha;
  cv::cvtColor(scene, alpha, cv::COLOR_BGR2BGRA);
  cv::cvtColor(scene, grey, cv::COLOR_BGR2GRAY);
  scene.convertTo(deep, CV_16U, 257);
  alpha.convertTo(deep_alpha, CV_16U, 257);
  const auto jpeg = [&](void (*set)(JpegVariant&)) {
    JpegVariant variant;
    set(variant);
    return pictures::jpeg(scene, variant);
  };
  return {
      {"JPEG 4:2:0", jpeg([](JpegVariant&) {})},
      {"JPEG 4:4:4", jpeg([](JpegVariant& v) { v.horizontal = v.vertical = 1; })},
      {"JPEG 4:1:1", jpeg([](JpegVariant& v) { v.horizontal = 4, v.vertical = 1; })},
      {"JPEG progressive", jpeg([](JpegVariant& v) { v.progressive = true; })},
      {"JPEG arithmetic", jpeg([](JpegVariant& v) { v.arithmetic = true; })},
      {"JPEG with restart markers", jpeg([](JpegVariant& v) { v.restart_rows = 1; })},
      {"JPEG turned by EXIF", jpeg([](JpegVariant& v) { v.orientation = 6; })},
      {"JPEG CMYK", jpeg([](JpegVariant& v) { v.cmyk = true; })},
      {"JPEG CMYK by Adobe", jpeg([](JpegVariant& v) { v.cmyk = v.adobe = true; })},
      {"PNG", pictures::encode(".png", scene)},
      {"PNG 16 bit", pictures::encode(".png", deep)},
      {"PNG 16 bit with alpha", pictures::encode(".png", deep_alpha)},
      {"PNG with alpha", pictures::encode(".png", alpha)},
      {"PNG interlaced", pictures::png(scene, true, false)},
      {"WebP", pictures::encode(".webp", scene, {64 /* IMWRITE_WEBP_QUALITY */, 95})},
      {"WebP lossless with alpha", pictures::encode(".webp", alpha, {64, 101})},
      {"BMP", pictures::encode(".bmp", scene)},
      {"BMP with alpha", pictures::encode(".bmp", alpha)},
      {"BMP top-down", pictures::top_down_bmp(scene)},
      {"BMP by masks", pictures::masked_bmp(scene, 32, {0xFF, 0xFF00, 0xFF0000}, 108)},
  };
}

Bytes huge_header(const char* format) {
  constexpr int kSide = 20000;
  const cv::Mat small = pictures::scene(16, 16);
  const auto low = static_cast<uint8_t>(kSide & 0xFF), high = static_cast<uint8_t>(kSide >> 8);
  Bytes file = pictures::encode(format, small, {64 /* IMWRITE_WEBP_QUALITY */, 90});
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (std::string_view(format) == ".jpg") {
    const size_t frame = text.find("\xFF\xC0");
    for (const size_t at : {frame + 5, frame + 7}) file[at] = high, file[at + 1] = low;
  } else if (std::string_view(format) == ".png") {
    for (const size_t at : {18, 22}) file[at] = high, file[at + 1] = low;
  } else if (std::string_view(format) == ".bmp") {
    for (const size_t at : {18, 22}) file[at] = low, file[at + 1] = high;
  } else {
    // 16383 is the most a WebP's own header holds.
    for (const size_t at : {26, 28}) file[at] = 0xFF, file[at + 1] = 0x3F;
  }
  return file;
}

}  // namespace

TEST_CASE("every variant of every format gives the same picture") {
  const cv::Mat scene = pictures::scene(150, 97);
  for (const auto& [name, file] : every_variant(scene)) {
    CAPTURE(name);
    const Frame frame = decode(file);
    REQUIRE(frame.pixels.size() == scene.size());
    REQUIRE(frame.pixels.type() == CV_8UC3);
    CHECK(frame.full_size());
    CHECK(difference(frame.pixels, scene) < 3);
  }
  cv::Mat grey, bgr;
  cv::cvtColor(scene, grey, cv::COLOR_BGR2GRAY);
  cv::cvtColor(grey, bgr, cv::COLOR_GRAY2BGR);
  JpegVariant grey_jpeg;
  grey_jpeg.grey = true;
  CHECK(difference(decode(pictures::jpeg(scene, grey_jpeg)).pixels, bgr) < 2);
  CHECK(difference(decode(pictures::encode(".png", grey)).pixels, bgr) == 0);
  CHECK(difference(decode(pictures::png(scene, false, true)).pixels, scene) < 20);
  CHECK(difference(decode(pictures::png(scene, true, true)).pixels, decode(pictures::png(scene, false, true)).pixels) ==
        0);
}

TEST_CASE("pictures of one pixel, and of one row or column") {
  for (const cv::Size size : {cv::Size(1, 1), cv::Size(1, 50), cv::Size(50, 1), cv::Size(7, 9)}) {
    const cv::Mat scene = pictures::scene(size.width, size.height);
    for (const auto& [name, file] : every_variant(scene)) {
      CAPTURE(name);
      CHECK(decode(file).pixels.size() == size);
    }
  }
}

TEST_CASE("a file cut anywhere is refused, or whole but for its end marker") {
  const cv::Mat scene = pictures::scene(150, 97);
  for (const auto& [name, file] : every_variant(scene)) {
    CAPTURE(name);
    const Frame whole = decode(file);
    const size_t step = std::max<size_t>(1, file.size() / 97);
    for (size_t length = 0; length < file.size(); length += length < 64 || file.size() - length <= 32 ? 1 : step) {
      CAPTURE(length);
      const auto error = error_of([&] {
        const Frame frame = edge_infer::decode_image({file.data(), length}, {});
        CHECK(difference(frame.pixels, whole.pixels) < 0.01);
        CHECK(length + 24 > file.size());
      });
      if (!error.first.empty()) CHECK(error.first == "BAD_IMAGE");
    }
  }
}

TEST_CASE("a BMP's pixels are read as its header says") {
  const cv::Mat scene = pictures::scene(101, 57);
  struct Masks {
    int bits;
    uint32_t red, green, blue;
    double within;
  };
  for (const Masks& masks :
       {Masks{32, 0xFF0000, 0xFF00, 0xFF, 0}, Masks{32, 0xFF, 0xFF00, 0xFF0000, 0},
        Masks{32, 0xFF000000, 0xFF0000, 0xFF00, 0}, Masks{32, 0x3FF00000, 0xFFC00, 0x3FF, 1},
        Masks{16, 0xF800, 0x7E0, 0x1F, 3}, Masks{16, 0x7C00, 0x3E0, 0x1F, 4}, Masks{16, 0xF00, 0xF0, 0xF, 9}}) {
    CAPTURE(masks.bits);
    CAPTURE(masks.red);
    for (const int header_bytes : {40, 52, 56, 108, 124}) {
      CAPTURE(header_bytes);
      const Bytes file = pictures::masked_bmp(scene, masks.bits, {masks.red, masks.green, masks.blue}, header_bytes);
      CHECK(difference(decode(file).pixels, scene) <= masks.within);
    }
  }
  cv::Mat grey, bgr;
  cv::cvtColor(scene, grey, cv::COLOR_BGR2GRAY);
  cv::cvtColor(grey, bgr, cv::COLOR_GRAY2BGR);
  for (const int bits : {1, 2, 4, 8}) {
    CAPTURE(bits);
    CHECK(difference(decode(pictures::palette_bmp(grey, bits)).pixels, bgr) <= 256 >> bits);
  }
  Bytes unpadded = pictures::encode(".bmp", scene);
  unpadded.pop_back();
  CHECK(difference(decode(unpadded).pixels, scene) == 0);
  Bytes jpeg_inside = pictures::encode(".bmp", scene);
  jpeg_inside[30] = 4;
  CHECK(error_of([&] { decode(jpeg_inside); }).second ==
        "The BMP cannot be decoded: its compression 4 is not supported");
}

TEST_CASE("the first frame of an animated WebP is taken") {
  const cv::Mat scene = pictures::scene(96, 64), later = cv::Mat::zeros(scene.size(), CV_8UC3);
  const auto webp = [](const cv::Mat& pixels) { return pictures::encode(".webp", pixels, {64, 101}); };
  CHECK(difference(decode(pictures::animated_webp({96, 64}, {0, 0}, {webp(scene), webp(later)})).pixels, scene) == 0);
  const cv::Mat on_canvas = decode(pictures::animated_webp({200, 100}, {40, 10}, {webp(scene)})).pixels;
  REQUIRE(on_canvas.size() == cv::Size(200, 100));
  CHECK(difference(on_canvas(cv::Rect(40, 10, 96, 64)), scene) == 0);
  CHECK(on_canvas.at<cv::Vec3b>(0, 0) == cv::Vec3b(0, 0, 0));
  CHECK(error_of([&] { decode(pictures::animated_webp({90, 64}, {0, 0}, {webp(scene)})); }).first == "BAD_IMAGE");
  CHECK(error_of([&] {
          decode(pictures::animated_webp({96, 64}, {0, 0}, {}));
        }).second == "The WebP cannot be decoded: its animation has no whole first frame");
}

TEST_CASE("a photograph is turned upright where that is asked for") {
  const cv::Mat scene = pictures::scene(160, 96);
  DecodeRequest request;
  request.auto_orient = true;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    JpegVariant variant;
    variant.orientation = orientation;
    const cv::Mat stored = pictures::as_held(scene, orientation);
    const Bytes file = pictures::jpeg(stored, variant);
    const Frame frame = edge_infer::decode_image(file, request);
    CHECK(cv::Size(frame.width, frame.height) == scene.size());
    CHECK(difference(frame.pixels, scene) < 3);
    CHECK(difference(decode(file).pixels, stored) < 3);
    DecodeRequest smaller = request;
    smaller.min_width = 80, smaller.min_height = 48;
    CHECK(edge_infer::decode_image(file, smaller).pixels.size() == cv::Size(80, 48));
    const Bytes png =
        pictures::with_png_chunk(pictures::png(stored, false, false), "eXIf", pictures::tiff(orientation));
    CHECK(difference(edge_infer::decode_image(png, request).pixels, scene) == 0);
  }
  JpegVariant nonsense;
  nonsense.orientation = 77;
  CHECK(difference(edge_infer::decode_image(pictures::jpeg(scene, nonsense), request).pixels, scene) < 3);
}

TEST_CASE("damaged JPEG data is refused, stray bytes are not") {
  const cv::Mat scene = pictures::scene(200, 200);
  Bytes file = pictures::jpeg(scene);
  const Frame whole = decode(file);
  SUBCASE("bytes before the end marker, as webcams write them") {
    file.insert(file.end() - 2, 3, 0);
    CHECK(difference(decode(file).pixels, whole.pixels) == 0);
  }
  SUBCASE("bytes after the end marker") {
    file.insert(file.end(), 100, 0x55);
    CHECK(difference(decode(file).pixels, whole.pixels) == 0);
  }
  SUBCASE("no end marker") {
    file.resize(file.size() - 2);
    CHECK(difference(decode(file).pixels, whole.pixels) == 0);
  }
  SUBCASE("an end marker in the middle") {
    file[file.size() / 2] = 0xFF;
    file[file.size() / 2 + 1] = 0xD9;
    CHECK(error_of([&] { decode(file); }).first == "BAD_IMAGE");
  }
  SUBCASE("half of it zeroed") {
    std::fill(file.begin() + static_cast<ptrdiff_t>(file.size() / 2), file.end() - 2, uint8_t{0});
    const auto error = error_of([&] { decode(file); });
    CHECK((error.first.empty() || error.first == "BAD_IMAGE"));
  }
  SUBCASE("a second frame header of another size") {
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    const size_t frame = text.find("\xFF\xC0");
    Bytes second(file.begin() + static_cast<ptrdiff_t>(frame), file.begin() + static_cast<ptrdiff_t>(frame) + 19);
    second[5] = 200;
    file.insert(file.begin() + static_cast<ptrdiff_t>(frame), second.begin(), second.end());
    CHECK(error_of([&] { decode(file); }).first != "");
  }
}

TEST_CASE("what is no picture is refused by its first bytes") {
  const auto code = [](const std::string& text) {
    return error_of([&] { edge_infer::decode_image(ByteView(text), {}); });
  };
  CHECK(code("").second == "Expected a JPEG, PNG, WebP or BMP file but received 0 bytes");
  CHECK(code("wxyz{|}~").second ==
        "Expected a JPEG, PNG, WebP or BMP file but received 8 bytes that begin "
        "77 78 79 7a 7b 7c 7d 7e");
  const std::pair<std::string, const char*> named[] = {
      {"GIF89a", "a GIF"},
      {std::string("\0\0\0\x18"
                   "ftypheic",
                   12),
       "a HEIC picture"},
      {std::string("\0\0\0\x18"
                   "ftypavif",
                   12),
       "an AVIF picture"},
      {std::string("\0\0\0\x18"
                   "ftypisom",
                   12),
       "a video (MP4 or QuickTime)"},
      {std::string("II*\0", 4), "a TIFF picture"},
      {"\xFF\x0A", "a JPEG XL picture"},
      {"%PDF-1.7", "a PDF document"},
      {"<?xml version='1.0'?>\n<svg width='1'/>", "an SVG drawing"},
      {"\n<!DOCTYPE html>", "an HTML page"},
  };
  for (const auto& [start, name] : named) {
    CHECK(code(start).second == std::string("Expected a JPEG, PNG, WebP or BMP file but received ") + name);
  }
  for (const char* text : {"II*\0\10\0\0\0", "hello, world", "%PDF-1.7", "\xFF\xD8", "RIFF1234WAVE", "\x89PNG"}) {
    CHECK(code(text).first == "BAD_IMAGE");
  }
}

TEST_CASE("a huge picture is refused from its header, at once") {
  for (const char* format : {".jpg", ".png", ".webp", ".bmp"}) {
    CAPTURE(format);
    const Bytes file = huge_header(format);
    const auto start = std::chrono::steady_clock::now();
    const auto error = error_of([&] { decode(file); });
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    CHECK(error.first == "TOO_LARGE");
    CHECK(error.second.find(std::string_view(format) == ".webp" ? "16383x16383" : "20000x20000") != std::string::npos);
    CHECK(took.count() < 500);
  }
}

TEST_CASE("PNG chunks that only fill the memory are not read") {
  const cv::Mat scene = pictures::scene(64, 48);
  const Bytes plain = pictures::png(scene, false, false);
  // A broken compressed text and profile would make the decoder complain if it saw them.
  Bytes file = plain;
  for (const char* type : {"zTXt", "iTXt", "iCCP", "eXIf", "tEXt"})
    file = pictures::with_png_chunk(file, type, Bytes(1000, 'x'));
  CHECK(difference(decode(file).pixels, scene) == 0);
  // Chunks the colours depend on stay.
  const Bytes palette = pictures::png(scene, false, true);
  CHECK(difference(decode(pictures::with_png_chunk(palette, "tEXt", Bytes(9, 'x'))).pixels, decode(palette).pixels) ==
        0);
}

TEST_CASE("a JPEG of endless scans is given up") {
  JpegVariant variant;
  variant.progressive = true;
  Bytes file = pictures::jpeg(pictures::scene(64, 64), variant);
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const size_t last = text.rfind("\xFF\xDA");
  const Bytes scan(file.begin() + static_cast<ptrdiff_t>(last), file.end() - 2);
  for (int i = 0; i < 150; ++i) file.insert(file.end() - 2, scan.begin(), scan.end());
  CHECK(error_of([&] { decode(file); }).first == "BAD_IMAGE");
}

TEST_CASE("a reduced decode is as large as asked, and gives the size of the whole") {
  const cv::Mat scene = pictures::scene(1280, 720);
  const Bytes file = pictures::jpeg(scene);
  DecodeRequest request;
  request.min_width = 320, request.min_height = 240;
  const Frame frame = edge_infer::decode_image(file, request);
  CHECK(frame.width == 1280);
  CHECK(frame.height == 720);
  CHECK(frame.pixels.size() == cv::Size(640, 360));
  request.keep_aspect = true;
  CHECK(edge_infer::decode_image(file, request).pixels.size() == cv::Size(320, 180));
  cv::Mat small;
  cv::resize(scene, small, {640, 360}, 0, 0, cv::INTER_AREA);
  CHECK(difference(frame.pixels, small) < 3);
}

TEST_CASE("a cancelled decode ends") {
  std::atomic<bool> cancelled{true};
  DecodeRequest request;
  request.cancelled = &cancelled;
  JpegVariant progressive;
  progressive.progressive = true;
  for (const Bytes& file :
       {pictures::jpeg(pictures::scene(640, 480)), pictures::jpeg(pictures::scene(640, 480), progressive)}) {
    CHECK(error_of([&] { edge_infer::decode_image(file, request); }).first == "ABORTED");
  }
}

TEST_CASE("mutated files never crash") {
  const cv::Mat scene = pictures::scene(60, 41);
  std::mt19937 random(20240607);
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  int refused = 0, read = 0;
  for (const auto& [name, file] : every_variant(scene)) {
    CAPTURE(name);
    for (int round = 0; round < 150; ++round) {
      Bytes mutant = file;
      const size_t reach = round % 3 == 0 ? std::min<size_t>(64, mutant.size()) : mutant.size();
      for (size_t changes = 1 + below(8); changes > 0; --changes) mutant[below(reach)] = static_cast<uint8_t>(random());
      if (round % 5 == 0) mutant.resize(below(mutant.size()));
      const auto error = error_of([&] {
        decode(mutant);
        ++read;
      });
      if (error.first.empty()) continue;
      ++refused;
      CHECK((error.first == "BAD_IMAGE" || error.first == "TOO_LARGE"));
    }
  }
  CHECK(refused > 500);
  CHECK(read > 200);
}

TEST_CASE("raw pixels are checked and converted") {
  const Bytes grey = {10, 20, 30, 40};
  CHECK(frame_from_pixels(grey, 2, 2, 1, ChannelOrder::rgb).pixels.at<cv::Vec3b>(1, 0) == cv::Vec3b(30, 30, 30));
  const Bytes rgb = {1, 2, 3}, rgba = {1, 2, 3, 9};
  CHECK(frame_from_pixels(rgb, 1, 1, 3, ChannelOrder::rgb).pixels.at<cv::Vec3b>(0, 0) == cv::Vec3b(3, 2, 1));
  CHECK(frame_from_pixels(rgb, 1, 1, 3, ChannelOrder::bgr).pixels.at<cv::Vec3b>(0, 0) == cv::Vec3b(1, 2, 3));
  CHECK(frame_from_pixels(rgba, 1, 1, 4, ChannelOrder::rgb).pixels.at<cv::Vec3b>(0, 0) == cv::Vec3b(3, 2, 1));
  const auto code = [&](int width, int height, int channels) {
    return error_of([&] { frame_from_pixels(grey, width, height, channels, ChannelOrder::rgb); }).first;
  };
  CHECK(code(2, 1, 2) == "BAD_IMAGE");
  CHECK(code(2, 3, 1) == "BAD_IMAGE");
  CHECK(code(0, 2, 1) == "BAD_IMAGE");
  CHECK(code(-2, -2, 1) == "BAD_IMAGE");
  CHECK(code(INT32_MAX, INT32_MAX, 1) == "TOO_LARGE");
}

TEST_CASE("crops repeat the border, and huge ones are scaled down") {
  const cv::Mat scene = pictures::scene(100, 60);
  const cv::Rect area = square_around(80, 10, 100, 20, 0.5);
  CHECK(area == cv::Rect(70, -5, 40, 40));
  const cv::Mat crop = crop_replicated(scene, area);
  REQUIRE(crop.size() == cv::Size(40, 40));
  CHECK(crop.at<cv::Vec3b>(0, 0) == scene.at<cv::Vec3b>(0, 70));
  CHECK(crop.at<cv::Vec3b>(20, 39) == scene.at<cv::Vec3b>(15, 99));
  const cv::Mat wide = pictures::scene(50'000, 10);
  const cv::Rect all = square_around(0, 0, 50'000, 10, 5);
  const cv::Mat small = crop_replicated(wide, all);
  CHECK(small.size() == cv::Size(kMaxCropSide, kMaxCropSide));
  CHECK(std::abs(small.at<cv::Vec3b>(0, 0)[0] - wide.at<cv::Vec3b>(0, 0)[0]) <= 2);
  CHECK(std::abs(small.at<cv::Vec3b>(4000, 4090)[0] - wide.at<cv::Vec3b>(9, 49'999)[0]) <= 2);
}
