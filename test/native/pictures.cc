#include "pictures.h"

#include <cstdio>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include <jpeglib.h>

using edge_infer::Bytes;

namespace pictures {
namespace {

void append(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }

void append_big_endian(Bytes& to, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<uint8_t>(value >> shift));
}

uint32_t crc32(const Bytes& bytes, size_t from) {
  uint32_t crc = 0xFFFFFFFF;
  for (size_t i = from; i < bytes.size(); ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

Bytes chunk(const std::string& type, const Bytes& body) {
  Bytes bytes;
  append_big_endian(bytes, static_cast<uint32_t>(body.size()));
  bytes.insert(bytes.end(), type.begin(), type.end());
  append(bytes, body);
  append_big_endian(bytes, crc32(bytes, 4));
  return bytes;
}

/// A zlib stream of stored blocks.
Bytes stored(const Bytes& data) {
  Bytes bytes = {0x78, 0x01};
  for (size_t at = 0; at < data.size(); at += 0xFFFF) {
    const size_t size = std::min<size_t>(0xFFFF, data.size() - at);
    const auto length = static_cast<uint16_t>(size);
    const auto inverse = static_cast<uint16_t>(~length);
    append(bytes,
           {static_cast<uint8_t>(at + size == data.size()), static_cast<uint8_t>(length),
            static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(inverse), static_cast<uint8_t>(inverse >> 8)});
    bytes.insert(bytes.end(), data.begin() + static_cast<ptrdiff_t>(at),
                 data.begin() + static_cast<ptrdiff_t>(at + size));
  }
  uint32_t a = 1, b = 0;
  for (const uint8_t byte : data) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  append_big_endian(bytes, b << 16 | a);
  return bytes;
}

Bytes exif(int orientation) {
  return {'E', 'x', 'i', 'f',  0,    0, 'M', 'M', 0, 42, 0, 0, 0,
          8,   0,   1,   0x01, 0x12, 0, 3,   0,   0, 0,  1, 0, static_cast<uint8_t>(orientation),
          0,   0,   0,   0,    0,    0};
}

}  // namespace

cv::Mat scene(int width, int height) {
  cv::Mat pixels(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      pixels.at<cv::Vec3b>(y, x) =
          cv::Vec3b(static_cast<uint8_t>(40 + 180 * x / width), static_cast<uint8_t>(30 + 190 * y / height),
                    static_cast<uint8_t>(60 + 60 * (x + y) / (width + height)));
    }
  }
  cv::circle(pixels, {width / 3, height / 2}, std::max(1, std::min(width, height) / 4), {30, 60, 220}, cv::FILLED);
  cv::rectangle(pixels, {width / 2, height / 4, std::max(1, width / 4), std::max(1, height / 3)}, {230, 220, 40},
                cv::FILLED);
  return pixels;
}

Bytes jpeg(const cv::Mat& pixels, const JpegVariant& variant) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  cv::Mat source = pixels;
  if (variant.grey) cv::cvtColor(pixels, source, cv::COLOR_BGR2GRAY);
  if (variant.cmyk) {
    source.create(pixels.size(), CV_8UC4);
    for (int y = 0; y < pixels.rows; ++y) {
      for (int x = 0; x < pixels.cols; ++x) {
        const cv::Vec3b& colour = pixels.at<cv::Vec3b>(y, x);
        const auto ink = [&](int light) { return static_cast<uint8_t>(variant.adobe ? light : 255 - light); };
        source.at<cv::Vec4b>(y, x) = cv::Vec4b(ink(colour[2]), ink(colour[1]), ink(colour[0]), ink(255));
      }
    }
  }
  info.image_width = static_cast<unsigned>(source.cols);
  info.image_height = static_cast<unsigned>(source.rows);
  info.input_components = source.channels();
  info.in_color_space = variant.cmyk ? JCS_CMYK : variant.grey ? JCS_GRAYSCALE : JCS_EXT_BGR;
  jpeg_set_defaults(&info);
  if (variant.cmyk) info.write_Adobe_marker = variant.adobe;
  jpeg_set_quality(&info, variant.quality, TRUE);
  info.arith_code = variant.arithmetic;
  if (!variant.grey && !variant.cmyk) {
    info.comp_info[0].h_samp_factor = variant.horizontal;
    info.comp_info[0].v_samp_factor = variant.vertical;
  }
  info.restart_in_rows = variant.restart_rows;
  if (variant.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (variant.orientation != 0) {
    const Bytes marker = exif(variant.orientation);
    jpeg_write_marker(&info, JPEG_APP0 + 1, marker.data(), static_cast<unsigned>(marker.size()));
  }
  for (int y = 0; y < source.rows; ++y) {
    JSAMPROW row = source.ptr(y);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  const Bytes file(memory, memory + size);
  jpeg_destroy_compress(&info);
  std::free(memory);
  return file;
}

Bytes encode(const char* extension, const cv::Mat& pixels, const std::vector<int>& parameters) {
  Bytes file;
  cv::imencode(extension, pixels, file, parameters);
  return file;
}

Bytes png(const cv::Mat& pixels, bool interlaced, bool palette) {
  struct Pass {
    int x, y, dx, dy;
  };
  static constexpr Pass kAdam7[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                    {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  const std::vector<Pass> passes =
      interlaced ? std::vector<Pass>(std::begin(kAdam7), std::end(kAdam7)) : std::vector<Pass>{{0, 0, 1, 1}};
  Bytes data;
  for (const Pass& pass : passes) {
    if (pass.x >= pixels.cols) continue;
    for (int y = pass.y; y < pixels.rows; y += pass.dy) {
      data.push_back(0);
      for (int x = pass.x; x < pixels.cols; x += pass.dx) {
        const cv::Vec3b& colour = pixels.at<cv::Vec3b>(y, x);
        if (palette) {
          data.push_back(static_cast<uint8_t>((colour[2] & 0xE0) | (colour[1] & 0xE0) >> 3 | colour[0] >> 6));
        } else {
          append(data, {colour[2], colour[1], colour[0]});
        }
      }
    }
  }
  Bytes header;
  append_big_endian(header, static_cast<uint32_t>(pixels.cols));
  append_big_endian(header, static_cast<uint32_t>(pixels.rows));
  append(header, {8, static_cast<uint8_t>(palette ? 3 : 2), 0, 0, static_cast<uint8_t>(interlaced)});
  Bytes file = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  append(file, chunk("IHDR", header));
  if (palette) {
    Bytes colours;
    for (int i = 0; i < 256; ++i) {
      append(colours, {static_cast<uint8_t>((i & 0xE0) | 16), static_cast<uint8_t>((i & 0x1C) << 3 | 16),
                       static_cast<uint8_t>((i & 3) << 6 | 32)});
    }
    append(file, chunk("PLTE", colours));
  }
  append(file, chunk("IDAT", stored(data)));
  append(file, chunk("IEND", {}));
  return file;
}

Bytes with_png_chunk(const Bytes& file, const std::string& type, const Bytes& body) {
  constexpr ptrdiff_t kAfterHeader = 8 + 25;
  Bytes result(file.begin(), file.begin() + kAfterHeader);
  append(result, chunk(type, body));
  result.insert(result.end(), file.begin() + kAfterHeader, file.end());
  return result;
}

Bytes top_down_bmp(const cv::Mat& pixels) {
  cv::Mat flipped;
  cv::flip(pixels, flipped, 0);
  Bytes file = encode(".bmp", flipped);
  const auto height = static_cast<uint32_t>(-pixels.rows);
  for (int i = 0; i < 4; ++i) file[static_cast<size_t>(22 + i)] = static_cast<uint8_t>(height >> (8 * i));
  return file;
}

double difference(const cv::Mat& a, const cv::Mat& b) {
  return cv::norm(a, b, cv::NORM_L1) / static_cast<double>(a.total() * static_cast<size_t>(a.channels()));
}

edge_infer::Frame decode(const Bytes& file) { return edge_infer::decode_image(file, {}); }

}  // namespace pictures
