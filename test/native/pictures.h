#pragma once

#include <array>
#include <opencv2/core/mat.hpp>
#include <string>
#include <utility>

#include "bytes.h"
#include "image/image.h"

/// Pictures made for the tests, and files of every variant of them.
namespace pictures {

/// A picture with soft and hard edges, the same each time. BGR.
cv::Mat scene(int width, int height);

struct JpegVariant {
  int quality = 95;
  bool progressive = false;
  bool arithmetic = false;
  bool grey = false;
  /// Inks as Adobe's programs store them: inverted; with their marker or without.
  bool cmyk = false;
  bool adobe = false;
  /// Sampling factors of the luma channel: 2, 2 is 4:2:0; 4, 1 is 4:1:1; 1, 1 is 4:4:4.
  int horizontal = 2;
  int vertical = 2;
  /// MCU rows between restart markers; 0: none.
  int restart_rows = 0;
  /// 1 to 8 as in EXIF; 0: no EXIF.
  int orientation = 0;
};

edge_infer::Bytes jpeg(const cv::Mat& pixels, const JpegVariant& variant = {});

/// By OpenCV; the matrix's depth and channels decide the variant.
edge_infer::Bytes encode(const char* extension, const cv::Mat& pixels, const std::vector<int>& parameters = {});

/// A PNG of 8-bit colours, interlaced or not; with a palette, the picture's colours are cut to 3-3-2 bits.
edge_infer::Bytes png(const cv::Mat& pixels, bool interlaced, bool palette);

/// `file` with a chunk before its image data.
edge_infer::Bytes with_png_chunk(const edge_infer::Bytes& file, const std::string& type, const edge_infer::Bytes& body);

/// A BMP whose first row is the top one.
edge_infer::Bytes top_down_bmp(const cv::Mat& pixels);

/// A BMP of 16 or 32 bits a pixel by channel masks (red, green, blue), in or behind a header of so many bytes.
edge_infer::Bytes masked_bmp(const cv::Mat& pixels, int bits, const std::array<uint32_t, 3>& masks, int header_bytes);

/// A BMP of grey levels with a palette of 2^bits colours.
edge_infer::Bytes palette_bmp(const cv::Mat& grey, int bits);

/// An animation of still WebP files; the first frame's corner lies at `offset` of the canvas.
edge_infer::Bytes animated_webp(cv::Size canvas, cv::Point offset, const std::vector<edge_infer::Bytes>& frames);

/// What a camera stores of an upright scene when it was held as EXIF's orientation says.
cv::Mat as_held(const cv::Mat& scene, int orientation);

/// EXIF's data with an orientation, without the mark that JPEG files put before it.
edge_infer::Bytes tiff(int orientation);

/// Mean absolute difference of two pictures of one size, grey levels.
double difference(const cv::Mat& a, const cv::Mat& b);

edge_infer::Frame decode(const edge_infer::Bytes& file);

/// The code of the Error that `act` throws; empty when it throws none.
template <typename Act>
std::pair<std::string, std::string> error_of(Act act);

}  // namespace pictures

#include "error.h"

template <typename Act>
std::pair<std::string, std::string> pictures::error_of(Act act) {
  try {
    act();
  } catch (const edge_infer::Error& error) {
    return {edge_infer::name_of(error.code()), error.what()};
  }
  return {};
}
