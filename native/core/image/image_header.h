#pragma once

#include "bytes.h"

namespace edge_infer {

enum class ImageFormat { jpeg, png, webp, bmp };

struct ImageHeader {
  ImageFormat format;
  int width;
  int height;
};

/// The largest image that is decoded, in pixels.
constexpr int64_t kMaxPixels = 50'000'000;

const char* format_name(ImageFormat format);

/// Whether the first bytes are those of a JPEG, PNG, WebP or BMP file.
bool has_image_signature(ByteView file);

/// Whether the first bytes are those of a file of another kind that read_image_header names: HEIC, GIF, PDF, …
bool is_unsupported_file(ByteView file);

/// Reads format and size from the first bytes of a file, without decoding it.
/// Throws BAD_IMAGE when it is none of the four formats or its header is broken, TOO_LARGE above kMaxPixels.
ImageHeader read_image_header(ByteView file);

/// Throws BAD_IMAGE for a side below 1, TOO_LARGE above kMaxPixels. `what` begins the message.
void check_image_size(const char* what, int64_t width, int64_t height);

}  // namespace edge_infer
