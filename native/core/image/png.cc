#include "image/png.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace edge_infer {
namespace {

constexpr size_t kSignature = 8;
/// Length, type and checksum.
constexpr size_t kFrame = 12;

size_t length_at(const uint8_t* at) {
  return static_cast<size_t>(at[0]) << 24 | static_cast<size_t>(at[1]) << 16 | static_cast<size_t>(at[2]) << 8 | at[3];
}

bool is_needed(const uint8_t* chunk) {
  static constexpr std::array<std::string_view, 5> kNeeded = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"};
  const std::string_view type(reinterpret_cast<const char*>(chunk) + 4, 4);
  return std::find(kNeeded.begin(), kNeeded.end(), type) != kNeeded.end();
}

}  // namespace

Bytes without_ancillary_chunks(ByteView file) {
  Bytes plain;
  bool dropped = false;
  size_t at = kSignature;
  while (file.size >= at + kFrame) {
    const uint8_t* const chunk = file.data + at;
    const size_t size = length_at(chunk) + kFrame;
    if (size > file.size - at) break;
    if (!is_needed(chunk)) {
      if (!dropped) plain.assign(file.data, chunk);
      dropped = true;
    } else if (dropped) {
      plain.insert(plain.end(), chunk, chunk + size);
    }
    at += size;
  }
  // What is left, an incomplete chunk, is for the decoder to refuse.
  if (dropped) plain.insert(plain.end(), file.data + std::min(at, file.size), file.end());
  return plain;
}

}  // namespace edge_infer
