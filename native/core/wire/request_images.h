#pragma once

#include <string>
#include <vector>

#include "bytes.h"
#include "wire/wire_image.h"

namespace edge_infer {

/// An image found in the JSON of a request: a file's bytes, or the BGR pixels of a nested list.
struct ExtractedImage {
  std::string key;
  ImageEncoding encoding = ImageEncoding::encoded;
  Bytes data;
  /// Of a nested list, in place of `data`.
  cv::Mat pixels;
};

struct ExtractedRequest {
  /// JSON text of the object's other members.
  std::string rest;
  std::vector<ExtractedImage> images;
  /// Which of the list keys were there.
  std::vector<std::string> lists;
};

/// The most images of one request.
constexpr size_t kMaxImages = 64;
/// The most bytes and levels of what is not an image, so that it is parsed in no time.
constexpr size_t kMaxRestBytes = size_t{1} << 20;
constexpr int kMaxRestDepth = 64;

/// Takes the members `image`, `image_list`, `clip` and `faces` out of a JSON object, in one pass over its text.
/// `null` counts as absent. Throws BAD_REQUEST (no JSON object, the rest beyond its bounds), BAD_IMAGE, TOO_LARGE.
/// The rest is only checked as far as its members must be told apart.
ExtractedRequest extract_images(ByteView json);

}  // namespace edge_infer
