#include "pictures.h"

#include <cmath>
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
        // Stored inverted: no ink is 255.
        const auto ink = [&](int light) { return static_cast<uint8_t>(light); };
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

namespace {

void append_little_endian(Bytes& to, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

/// File header and info header; what lies between them and the pixels has `extra` bytes.
Bytes bmp_start(cv::Size size, int bits, uint32_t compression, int header_bytes, uint32_t extra) {
  Bytes file = {'B', 'M', 0, 0, 0, 0, 0, 0, 0, 0};
  append_little_endian(file, static_cast<uint32_t>(14 + header_bytes) + extra, 4);
  append_little_endian(file, static_cast<uint32_t>(header_bytes), 4);
  append_little_endian(file, static_cast<uint32_t>(size.width), 4);
  append_little_endian(file, static_cast<uint32_t>(size.height), 4);
  append_little_endian(file, 1, 2);
  append_little_endian(file, static_cast<uint32_t>(bits), 2);
  append_little_endian(file, compression, 4);
  file.resize(14 + 40);
  return file;
}

}  // namespace

Bytes masked_bmp(const cv::Mat& pixels, int bits, const std::array<uint32_t, 3>& masks, int header_bytes) {
  Bytes file = bmp_start(pixels.size(), bits, 3, header_bytes, header_bytes == 40 ? 12 : 0);
  for (const uint32_t mask : masks) append_little_endian(file, mask, 4);
  file.resize(std::max<size_t>(file.size(), static_cast<size_t>(14 + header_bytes)));
  const auto placed = [](uint8_t level, uint32_t mask) {
    int shift = 0;
    while (!(mask >> shift & 1)) ++shift;
    return static_cast<uint32_t>(std::lround(level / 255.0 * (mask >> shift))) << shift;
  };
  for (int y = pixels.rows - 1; y >= 0; --y) {
    for (int x = 0; x < pixels.cols; ++x) {
      const cv::Vec3b& colour = pixels.at<cv::Vec3b>(y, x);
      append_little_endian(
          file, placed(colour[2], masks[0]) | placed(colour[1], masks[1]) | placed(colour[0], masks[2]), bits / 8);
    }
    while ((file.size() - 14 - static_cast<size_t>(header_bytes) - (header_bytes == 40 ? 12 : 0)) % 4 != 0)
      file.push_back(0);
  }
  return file;
}

Bytes palette_bmp(const cv::Mat& grey, int bits) {
  const int colours = 1 << bits;
  Bytes file = bmp_start(grey.size(), bits, 0, 40, static_cast<uint32_t>(4 * colours));
  for (int i = 0; i < colours; ++i) {
    const auto level = static_cast<uint8_t>(255 * i / (colours - 1));
    append(file, {level, level, level, 0});
  }
  const size_t row_bytes = (static_cast<size_t>(grey.cols * bits) + 31) / 32 * 4;
  for (int y = grey.rows - 1; y >= 0; --y) {
    const size_t row = file.size();
    file.resize(row + row_bytes);
    for (int x = 0; x < grey.cols; ++x) {
      const int index = static_cast<int>(std::lround(grey.at<uint8_t>(y, x) / 255.0 * (colours - 1)));
      const int bit = x * bits;
      file[row + static_cast<size_t>(bit / 8)] |= static_cast<uint8_t>(index << (8 - bits - bit % 8));
    }
  }
  return file;
}

Bytes animated_webp(cv::Size canvas, cv::Point offset, const std::vector<Bytes>& frames) {
  const auto put_chunk = [](Bytes& to, const char* name, const Bytes& body) {
    to.insert(to.end(), name, name + 4);
    append_little_endian(to, static_cast<uint32_t>(body.size()), 4);
    append(to, body);
    if (body.size() & 1) to.push_back(0);
  };
  Bytes extended = {0x02, 0, 0, 0};
  append_little_endian(extended, static_cast<uint32_t>(canvas.width - 1), 3);
  append_little_endian(extended, static_cast<uint32_t>(canvas.height - 1), 3);
  Bytes chunks = {'W', 'E', 'B', 'P'};
  put_chunk(chunks, "VP8X", extended);
  put_chunk(chunks, "ANIM", Bytes(6, 0));
  for (const Bytes& still : frames) {
    Bytes frame;
    append_little_endian(frame, static_cast<uint32_t>(offset.x / 2), 3);
    append_little_endian(frame, static_cast<uint32_t>(offset.y / 2), 3);
    frame.resize(16);
    frame.insert(frame.end(), still.begin() + 12, still.end());
    put_chunk(chunks, "ANMF", frame);
  }
  Bytes file;
  put_chunk(file, "RIFF", chunks);
  return file;
}

cv::Mat as_held(const cv::Mat& scene, int orientation) {
  static constexpr int kTurns[] = {
      -1, -1, -1, cv::ROTATE_180, -1, -1, cv::ROTATE_90_COUNTERCLOCKWISE, -1, cv::ROTATE_90_CLOCKWISE};
  cv::Mat stored = scene.clone();
  if (kTurns[orientation] >= 0) cv::rotate(scene, stored, kTurns[orientation]);
  if (orientation == 2) cv::flip(scene, stored, 1);
  if (orientation == 4) cv::flip(scene, stored, 0);
  if (orientation == 5) cv::transpose(scene, stored);
  if (orientation == 7) cv::rotate(scene.t(), stored, cv::ROTATE_180);
  return stored;
}

Bytes tiff(int orientation) {
  const Bytes marked = exif(orientation);
  return {marked.begin() + 6, marked.end()};
}

double difference(const cv::Mat& a, const cv::Mat& b) {
  return cv::norm(a, b, cv::NORM_L1) / static_cast<double>(a.total() * static_cast<size_t>(a.channels()));
}

edge_infer::Frame decode(const Bytes& file) { return edge_infer::decode_image(file, {}); }

}  // namespace pictures
