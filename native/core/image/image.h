#pragma once

#include <atomic>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "bytes.h"

namespace edge_infer {

/// A decoded picture. `pixels` is 8-bit BGR and may be smaller than the picture that was posted, whose size is
/// `width` × `height`: results are given in those pixels.
struct Frame {
  cv::Mat pixels;
  int width = 0;
  int height = 0;

  bool full_size() const { return pixels.cols == width && pixels.rows == height; }
};

struct DecodeRequest {
  /// The size of the network's input: no pixels are decoded that it cannot use; 0: every pixel.
  int min_width = 0;
  int min_height = 0;
  /// The frame is fitted into that size with its aspect kept, so that only one side must be reached.
  bool keep_aspect = false;
  /// Turn the picture as its EXIF orientation says: for photographs. Frames of a stream are taken as they are.
  bool auto_orient = false;
  const std::atomic<bool>* cancelled = nullptr;
};

/// Decodes a JPEG, PNG, WebP or BMP file. Alpha is dropped, 16 bits become 8, grey and CMYK become BGR.
/// Size limits are checked from the header. Throws BAD_IMAGE, TOO_LARGE, ABORTED.
Frame decode_image(ByteView file, const DecodeRequest& request);

enum class ChannelOrder { rgb, bgr };

/// Wraps or converts raw 8-bit pixels, rows without padding, 1, 3 or 4 channels (alpha dropped).
/// The frame may share `pixels`: keep them until it is done with. Throws BAD_IMAGE, TOO_LARGE.
Frame frame_from_pixels(ByteView pixels, int width, int height, int channels, ChannelOrder order);

/// Encodes 8-bit BGR pixels by OpenCV, `parameters` as cv::imencode takes them. Throws TOO_LARGE for a picture larger
/// than the format allows.
Bytes encode_with_opencv(const char* extension, const cv::Mat& pixels, const std::vector<int>& parameters);

/// A JPEG file of 8-bit BGR pixels; `quality` 1 to 100, chroma at half resolution.
Bytes encode_jpeg(const cv::Mat& pixels, int quality);

}  // namespace edge_infer
