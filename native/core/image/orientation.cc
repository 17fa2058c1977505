#include "image/orientation.h"

#include <opencv2/core.hpp>
#include <string_view>

namespace edge_infer {
namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr size_t kDirectoryEntry = 12;

uint32_t number(const uint8_t* p, int bytes, bool little) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | p[little ? bytes - 1 - i : i];
  return value;
}

/// From a TIFF header and its first directory.
int orientation_of(ByteView tiff) {
  const bool little = tiff.starts_with("II");
  if (tiff.size < 8 || (!little && !tiff.starts_with("MM"))) return 1;
  const size_t directory = number(tiff.data + 4, 4, little);
  if (directory > tiff.size || tiff.size - directory < 2) return 1;
  const size_t count = number(tiff.data + directory, 2, little);
  for (size_t i = 0, at = directory + 2; i < count && tiff.size - at >= kDirectoryEntry; ++i, at += kDirectoryEntry) {
    if (number(tiff.data + at, 2, little) != kOrientationTag) continue;
    const uint32_t value = number(tiff.data + at + 8, 2, little);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

ByteView after(ByteView bytes, size_t count) {
  count = std::min(count, bytes.size);
  return {bytes.data + count, bytes.size - count};
}

/// EXIF's TIFF part, where the bytes are an `Exif` block; the bytes themselves else.
ByteView without_exif_mark(ByteView bytes) {
  return bytes.starts_with(std::string_view("Exif\0\0", 6)) ? after(bytes, 6) : bytes;
}

ByteView exif_of_jpeg(ByteView file) {
  for (ByteView rest = after(file, 2); rest.size >= 4 && rest.data[0] == 0xFF;) {
    const uint8_t marker = rest.data[1];
    if (marker == 0xFF) {
      rest = after(rest, 1);
      continue;
    }
    const size_t length = number(rest.data + 2, 2, false);
    if (marker == 0xDA || length < 2 || length + 2 > rest.size) break;
    const ByteView body(rest.data + 4, length - 2);
    if (marker == 0xE1 && body.starts_with(std::string_view("Exif\0\0", 6))) return body;
    rest = after(rest, length + 2);
  }
  return {};
}

ByteView exif_of_chunks(ByteView rest, std::string_view name, bool png) {
  while (rest.size >= 8) {
    const size_t length = number(rest.data + (png ? 0 : 4), 4, !png);
    const std::string_view type(reinterpret_cast<const char*>(rest.data) + (png ? 4 : 0), 4);
    if (length > rest.size - 8) break;
    if (type == name) return {rest.data + 8, length};
    rest = after(rest, 8 + length + (png ? 4 : length & 1));
  }
  return {};
}

}  // namespace

int exif_orientation(ByteView file, ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return orientation_of(without_exif_mark(exif_of_jpeg(file)));
    case ImageFormat::png:
      return orientation_of(without_exif_mark(exif_of_chunks(after(file, 8), "eXIf", true)));
    case ImageFormat::webp:
      return orientation_of(without_exif_mark(exif_of_chunks(after(file, 12), "EXIF", false)));
    case ImageFormat::bmp:
      break;
  }
  return 1;
}

cv::Mat upright(const cv::Mat& pixels, int orientation) {
  cv::Mat turned = pixels;
  if (swaps_sides(orientation)) cv::transpose(pixels, turned);
  // After the transposition 5 is done, 6 lacks a mirror left to right, 7 both, 8 one upside down.
  const bool left_right = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool upside_down = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  if (!left_right && !upside_down) return turned;
  cv::Mat mirrored;
  cv::flip(turned, mirrored, left_right && upside_down ? -1 : left_right ? 1 : 0);
  return mirrored;
}

}  // namespace edge_infer
