#pragma once

#include <string>

#include "bytes.h"
#include "image/image.h"

namespace edge_infer {

/// How an image was encoded in the request. Images are answered in the same encoding (base64 for a nested list).
enum class ImageEncoding { encoded, raw, bytes_literal, base64, data_url, latin1, nested_list };

const char* image_encoding_name(ImageEncoding encoding);

struct WireImage {
  Frame frame;
  ImageEncoding encoding;
};

/// An image file as it stood in a JSON string.
struct WireFile {
  Bytes bytes;
  ImageEncoding encoding;
};

/// The file in a JSON string (`text`: what stands between the quotes). Throws BAD_IMAGE.
WireFile decode_wire_string(ByteView text);

/// Decodes the text of one JSON value: a string that holds an image file as a Python bytes literal, base64 (also as a
/// data URL) or one character a byte; or a nested list of pixels. Throws BAD_IMAGE, TOO_LARGE, ABORTED.
WireImage decode_wire_image(ByteView json, const DecodeRequest& request);

}  // namespace edge_infer
