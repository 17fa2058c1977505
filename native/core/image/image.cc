#include "image/image.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <new>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>

#include "error.h"
#include "image/bmp.h"
#include "image/image_header.h"
#include "image/jpeg.h"
#include "image/orientation.h"
#include "image/png.h"
#include "image/webp.h"

namespace edge_infer {
namespace {

/// OpenCV's codecs fail alike without memory and at a picture they cannot take. Throws std::bad_alloc where there is no
/// room for what they need at most.
void expect_memory_for(int width, int height) {
  constexpr size_t kBytesPerPixel = 8, kFixedBytes = 1 << 20;
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  // Volatile, since GCC 10 leaves out memory that nothing uses.
  void* volatile memory = ::operator new(pixels* kBytesPerPixel + kFixedBytes);
  ::operator delete(memory);
}

cv::Mat decode_with_opencv(ByteView file, const ImageHeader& header) {
  if (file.size > INT_MAX) throw Error(ErrorCode::too_large, "An image file must be smaller than 2 GiB");
  const cv::Mat encoded(1, static_cast<int>(file.size), CV_8UC1, const_cast<uint8_t*>(file.data));
  cv::Mat pixels;
  try {
    pixels = cv::imdecode(encoded, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const cv::Exception&) {
    pixels.release();
  }
  if (pixels.cols != header.width || pixels.rows != header.height) {
    expect_memory_for(header.width, header.height);
    throw Error(ErrorCode::bad_image, std::string("The ") + format_name(header.format) + " cannot be decoded: its " +
                                          std::to_string(file.size) +
                                          " bytes are damaged, incomplete or of an unknown variant");
  }
  return pixels;
}

JpegRequest smallest_useful(const ImageHeader& header, const DecodeRequest& request) {
  if (!request.keep_aspect || request.min_width <= 0) return {request.min_width, request.min_height};
  const double ratio = std::min(static_cast<double>(request.min_width) / header.width,
                                static_cast<double>(request.min_height) / header.height);
  return {static_cast<int>(std::floor(header.width * ratio)), static_cast<int>(std::floor(header.height * ratio))};
}

/// The first frame on its canvas, black where it does not cover that.
cv::Mat decode_webp(ByteView file, const ImageHeader& canvas) {
  const std::optional<WebpFrame> first = first_webp_frame(file);
  if (!first) return decode_with_opencv(file, canvas);
  const ImageHeader header = read_image_header(first->file);
  const cv::Rect area(first->offset, cv::Size(header.width, header.height));
  const cv::Rect whole(0, 0, canvas.width, canvas.height);
  if ((area & whole) != area) throw Error(ErrorCode::bad_image, "The WebP's first frame does not fit on its canvas");
  cv::Mat frame = decode_with_opencv(first->file, header);
  if (area == whole) return frame;
  cv::Mat pixels = cv::Mat::zeros(whole.size(), CV_8UC3);
  frame.copyTo(pixels(area));
  return pixels;
}

cv::Mat decode_pixels(ByteView file, const ImageHeader& header, const DecodeRequest& request) {
  switch (header.format) {
    case ImageFormat::jpeg:
      return decode_jpeg(file, header, smallest_useful(header, request), request.cancelled);
    case ImageFormat::png: {
      const Bytes plain = without_ancillary_chunks(file);
      return decode_with_opencv(plain.empty() ? file : ByteView(plain), header);
    }
    case ImageFormat::webp:
      return decode_webp(file, header);
    case ImageFormat::bmp: {
      const cv::Mat pixels = decode_bmp(file, header);
      return pixels.empty() ? decode_with_opencv(file, header) : pixels;
    }
  }
  throw Error(ErrorCode::internal, "Unknown format of an image file");
}

}  // namespace

Frame decode_image(ByteView file, const DecodeRequest& request) {
  const ImageHeader header = read_image_header(file);
  const int orientation = request.auto_orient ? exif_orientation(file, header.format) : 1;
  DecodeRequest as_stored = request;
  if (swaps_sides(orientation)) std::swap(as_stored.min_width, as_stored.min_height);
  const cv::Mat pixels = upright(decode_pixels(file, header, as_stored), orientation);
  return swaps_sides(orientation) ? Frame{pixels, header.height, header.width}
                                  : Frame{pixels, header.width, header.height};
}

Frame frame_from_pixels(ByteView pixels, int width, int height, int channels, ChannelOrder order) {
  check_image_size("The raw image", width, height);
  if (channels != 1 && channels != 3 && channels != 4) {
    throw Error(ErrorCode::bad_image, "The raw image must have 1, 3 or 4 channels but has " + std::to_string(channels));
  }
  const size_t expected = static_cast<size_t>(width) * height * channels;
  if (pixels.size != expected) {
    throw Error(ErrorCode::bad_image, "The raw image of " + std::to_string(width) + "x" + std::to_string(height) + "x" +
                                          std::to_string(channels) + " must have " + std::to_string(expected) +
                                          " bytes but has " + std::to_string(pixels.size));
  }
  const cv::Mat source(height, width, CV_8UC(channels), const_cast<uint8_t*>(pixels.data));
  if (channels == 3 && order == ChannelOrder::bgr) return {source, width, height};
  const bool rgb = order == ChannelOrder::rgb;
  const int conversion = channels == 1   ? cv::COLOR_GRAY2BGR
                         : channels == 3 ? cv::COLOR_RGB2BGR
                         : rgb           ? cv::COLOR_RGBA2BGR
                                         : cv::COLOR_BGRA2BGR;
  cv::Mat converted;
  cv::cvtColor(source, converted, conversion);
  return {converted, width, height};
}

Bytes encode_with_opencv(const char* extension, const cv::Mat& pixels, const std::vector<int>& parameters) {
  Bytes file;
  try {
    cv::imencode(extension, pixels, file, parameters);
  } catch (const cv::Exception&) {
    file.clear();
  }
  if (file.empty()) {
    expect_memory_for(pixels.cols, pixels.rows);
    throw Error(ErrorCode::too_large, "A picture of " + std::to_string(pixels.cols) + "x" +
                                          std::to_string(pixels.rows) + " is larger than the format " + extension +
                                          " allows");
  }
  return file;
}

Bytes encode_jpeg(const cv::Mat& pixels, int quality) {
  return encode_with_opencv(".jpg", pixels, {cv::IMWRITE_JPEG_QUALITY, quality});
}

}  // namespace edge_infer
