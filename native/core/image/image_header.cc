#include "image/image_header.h"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "error.h"

namespace edge_infer {
namespace {

uint32_t little_endian(const uint8_t* p, int bytes) {
  uint32_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = value << 8 | p[i];
  return value;
}

uint32_t big_endian(const uint8_t* p, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | p[i];
  return value;
}

[[noreturn]] void broken(ImageFormat format, const char* detail) {
  throw Error(ErrorCode::bad_image, std::string("Expected a whole ") + format_name(format) + " file but " + detail);
}

ImageHeader jpeg_header(ByteView file) {
  const auto is_frame_marker = [](uint8_t marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
  };
  size_t at = 2;
  while (at + 4 <= file.size) {
    if (file.data[at] != 0xFF) {
      ++at;
      continue;
    }
    const uint8_t marker = file.data[at + 1];
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    if (marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
      at += 2;
      continue;
    }
    if (marker == 0xD9 || marker == 0xDA) break;
    const uint32_t length = big_endian(file.data + at + 2, 2);
    if (is_frame_marker(marker)) {
      if (at + 9 > file.size) break;
      return {ImageFormat::jpeg, static_cast<int>(big_endian(file.data + at + 7, 2)),
              static_cast<int>(big_endian(file.data + at + 5, 2))};
    }
    if (length < 2) break;
    at += 2 + length;
  }
  broken(ImageFormat::jpeg, "it ends before its frame header");
}

ImageHeader png_header(ByteView file) {
  if (file.size < 24 || std::string_view(reinterpret_cast<const char*>(file.data) + 12, 4) != "IHDR") {
    broken(ImageFormat::png, "its first chunk is no IHDR");
  }
  const uint32_t width = big_endian(file.data + 16, 4);
  const uint32_t height = big_endian(file.data + 20, 4);
  if (width > INT32_MAX || height > INT32_MAX) broken(ImageFormat::png, "its size is out of range");
  return {ImageFormat::png, static_cast<int>(width), static_cast<int>(height)};
}

ImageHeader webp_header(ByteView file) {
  if (file.size < 30) broken(ImageFormat::webp, "it ends in its header");
  const std::string_view chunk(reinterpret_cast<const char*>(file.data) + 12, 4);
  const uint8_t* body = file.data + 20;
  if (chunk == "VP8 ") {
    return {ImageFormat::webp, static_cast<int>(little_endian(body + 6, 2) & 0x3FFF),
            static_cast<int>(little_endian(body + 8, 2) & 0x3FFF)};
  }
  if (chunk == "VP8L") {
    const uint32_t bits = little_endian(body + 1, 4);
    return {ImageFormat::webp, static_cast<int>((bits & 0x3FFF) + 1), static_cast<int>((bits >> 14 & 0x3FFF) + 1)};
  }
  if (chunk == "VP8X") {
    return {ImageFormat::webp, static_cast<int>(little_endian(body + 4, 3) + 1),
            static_cast<int>(little_endian(body + 7, 3) + 1)};
  }
  broken(ImageFormat::webp, "its first chunk is none of VP8, VP8L, VP8X");
}

ImageHeader bmp_header(ByteView file) {
  if (file.size < 26) broken(ImageFormat::bmp, "it ends in its header");
  if (little_endian(file.data + 14, 4) == 12) {
    return {ImageFormat::bmp, static_cast<int>(little_endian(file.data + 18, 2)),
            static_cast<int>(little_endian(file.data + 20, 2))};
  }
  const auto width = static_cast<int32_t>(little_endian(file.data + 18, 4));
  const auto height = static_cast<int32_t>(little_endian(file.data + 22, 4));
  if (height == INT32_MIN) broken(ImageFormat::bmp, "its height is out of range");
  return {ImageFormat::bmp, width, std::abs(height)};
}

std::optional<ImageFormat> signature(ByteView file) {
  if (file.starts_with("\xFF\xD8\xFF")) return ImageFormat::jpeg;
  if (file.starts_with("\x89PNG\r\n\x1A\n")) return ImageFormat::png;
  if (file.size >= 12 && file.starts_with("RIFF") &&
      std::string_view(reinterpret_cast<const char*>(file.data) + 8, 4) == "WEBP") {
    return ImageFormat::webp;
  }
  if (file.starts_with("BM")) return ImageFormat::bmp;
  return std::nullopt;
}

struct KnownFile {
  size_t at;
  std::string_view signature;
  const char* name;
};

/// Files that people take for pictures this reads.
const KnownFile kUnsupported[] = {
    {4, "ftypheic", "a HEIC picture"},
    {4, "ftypheix", "a HEIC picture"},
    {4, "ftypheim", "a HEIC picture"},
    {4, "ftypheis", "a HEIC picture"},
    {4, "ftyphevc", "a HEIC picture"},
    {4, "ftypmif1", "a HEIC or AVIF picture"},
    {4, "ftypmsf1", "a HEIC or AVIF picture"},
    {4, "ftypavif", "an AVIF picture"},
    {4, "ftypavis", "an AVIF picture"},
    {4, "ftyp", "a video (MP4 or QuickTime)"},
    {0, "GIF8", "a GIF"},
    {0, {"II*\0", 4}, "a TIFF picture"},
    {0, {"MM\0*", 4}, "a TIFF picture"},
    {0, {"II+\0", 4}, "a BigTIFF picture"},
    {0, {"MM\0+", 4}, "a BigTIFF picture"},
    {0, "\xFF\x0A", "a JPEG XL picture"},
    {4, "JXL \r\n\x87\n", "a JPEG XL picture"},
    {4, "jP  \r\n\x87\n", "a JPEG 2000 picture"},
    {0, "\xFF\x4F\xFF\x51", "a JPEG 2000 picture"},
    {0, "%PDF", "a PDF document"},
    {0, "8BPS", "a Photoshop document"},
    {0, {"\0\0\1\0", 4}, "an icon"},
    {0, "\x1A\x45\xDF\xA3", "a video (Matroska or WebM)"},
};

/// The name of a file of another kind; empty where its first bytes tell nothing.
std::string_view unsupported_name(ByteView file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data), file.size);
  for (const KnownFile& known : kUnsupported) {
    if (file.size >= known.at && text.substr(known.at, known.signature.size()) == known.signature) return known.name;
  }
  const size_t begin = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (begin == std::string_view::npos || text[begin] != '<') return {};
  if (text.substr(0, 1024).find("<svg") != std::string_view::npos) return "an SVG drawing";
  if (text.substr(0, 1024).find("<!DOCTYPE html") != std::string_view::npos ||
      text.substr(0, 1024).find("<html") != std::string_view::npos) {
    return "an HTML page";
  }
  return {};
}

std::string first_bytes(ByteView file) {
  std::string text;
  char hex[4];
  for (size_t i = 0; i < file.size && i < 8; ++i) {
    std::snprintf(hex, sizeof hex, i == 0 ? "%02x" : " %02x", file.data[i]);
    text += hex;
  }
  return text;
}

}  // namespace

const char* format_name(ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return "JPEG";
    case ImageFormat::png:
      return "PNG";
    case ImageFormat::webp:
      return "WebP";
    case ImageFormat::bmp:
      return "BMP";
  }
  return "image";
}

void check_image_size(const char* what, int64_t width, int64_t height) {
  const std::string size = std::to_string(width) + "x" + std::to_string(height);
  if (width < 1 || height < 1) {
    throw Error(ErrorCode::bad_image, std::string(what) + " must have a width and height of at least 1 but is " + size);
  }
  if (width > kMaxPixels / height) {
    throw Error(ErrorCode::too_large,
                std::string(what) + " must have at most " + std::to_string(kMaxPixels) + " pixels but is " + size);
  }
}

bool has_image_signature(ByteView file) { return signature(file).has_value(); }

bool is_unsupported_file(ByteView file) { return !unsupported_name(file).empty(); }

ImageHeader read_image_header(ByteView file) {
  const std::optional<ImageFormat> format = signature(file);
  if (!format) {
    const std::string expected = "Expected a JPEG, PNG, WebP or BMP file but received ";
    const std::string_view name = unsupported_name(file);
    if (!name.empty()) throw Error(ErrorCode::bad_image, expected + std::string(name));
    throw Error(ErrorCode::bad_image, expected + std::to_string(file.size) + " bytes" +
                                          (file.size == 0 ? "" : " that begin " + first_bytes(file)));
  }
  ImageHeader header{};
  switch (*format) {
    case ImageFormat::jpeg:
      header = jpeg_header(file);
      break;
    case ImageFormat::png:
      header = png_header(file);
      break;
    case ImageFormat::webp:
      header = webp_header(file);
      break;
    case ImageFormat::bmp:
      header = bmp_header(file);
      break;
  }
  check_image_size(("The " + std::string(format_name(*format)) + " image").c_str(), header.width, header.height);
  return header;
}

}  // namespace edge_infer
