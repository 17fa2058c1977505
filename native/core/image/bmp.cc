#include "image/bmp.h"

#include <cstring>
#include <string>

#include "error.h"

namespace edge_infer {
namespace {

constexpr size_t kFileHeader = 14;
constexpr uint32_t kOs2Header = 12;

enum Compression : uint32_t { kRgb = 0, kRle8 = 1, kRle4 = 2, kBitfields = 3, kAlphaBitfields = 6 };

[[noreturn]] void refuse(const std::string& detail) {
  throw Error(ErrorCode::bad_image, "The BMP cannot be decoded: " + detail);
}

uint32_t little_endian(ByteView file, size_t at, int bytes) {
  if (at + static_cast<size_t>(bytes) > file.size) refuse("it ends in its header");
  uint32_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = value << 8 | file.data[at + static_cast<size_t>(i)];
  return value;
}

/// One channel of a pixel: the bits of a mask, spread over 0 to 255.
class Channel {
 public:
  explicit Channel(uint32_t mask) : mask_(mask) {
    while (mask != 0 && (mask & 1) == 0) mask >>= 1, ++shift_;
    largest_ = mask;
  }

  uint8_t of(uint32_t pixel) const {
    if (largest_ == 0) return 0;
    return static_cast<uint8_t>((uint64_t{(pixel & mask_) >> shift_} * 255 + largest_ / 2) / largest_);
  }

 private:
  uint32_t mask_;
  int shift_ = 0;
  uint32_t largest_;
};

struct Layout {
  int bits = 0;
  bool top_down = false;
  size_t pixels_at = 0;
  size_t row_bytes = 0;
  /// BGR, four bytes an entry; of pictures of up to 8 bits.
  Bytes palette;
  /// Red, green and blue; of pictures of 16 and 32 bits.
  uint32_t masks[3] = {0, 0, 0};
};

void read_palette(ByteView file, size_t at, size_t count, size_t entry_bytes, Layout& layout) {
  layout.palette.resize(size_t{4} << layout.bits);
  for (size_t i = 0; i < count && i < layout.palette.size() / 4; ++i) {
    if (at + (i + 1) * entry_bytes > file.size) refuse("it ends in its palette");
    std::memcpy(&layout.palette[4 * i], file.data + at + i * entry_bytes, 3);
  }
}

void read_masks(ByteView file, uint32_t compression, Layout& layout) {
  if (compression == kRgb) {
    const uint32_t bits = layout.bits == 16 ? 5 : 8;
    for (uint32_t i = 0; i < 3; ++i) layout.masks[i] = ((1u << bits) - 1) << (bits * (2 - i));
    return;
  }
  // In a V2 header or a later one, and after one of 40 bytes, the masks lie at the same place.
  for (size_t i = 0; i < 3; ++i) layout.masks[i] = little_endian(file, kFileHeader + 40 + 4 * i, 4);
  if ((layout.masks[0] | layout.masks[1] | layout.masks[2]) == 0) refuse("its channel masks are empty");
}

/// False for a run-length encoded file.
bool read_layout(ByteView file, const ImageHeader& header, Layout& layout) {
  const uint32_t header_bytes = little_endian(file, kFileHeader, 4);
  const bool os2 = header_bytes == kOs2Header;
  if (!os2 && header_bytes < 40) refuse("its header of " + std::to_string(header_bytes) + " bytes is of no known kind");
  layout.bits = static_cast<int>(little_endian(file, kFileHeader + (os2 ? 10 : 14), 2));
  layout.pixels_at = little_endian(file, 10, 4);
  const uint32_t compression = os2 ? uint32_t{kRgb} : little_endian(file, kFileHeader + 16, 4);
  layout.top_down = !os2 && (little_endian(file, kFileHeader + 8, 4) >> 31) != 0;
  // OS/2 2.x gives 3 another meaning, but such files are of one bit a pixel.
  const bool masked = (compression == kBitfields || compression == kAlphaBitfields) && layout.bits >= 16;
  if (compression == kRle8 || compression == kRle4) return false;
  if (compression != kRgb && !masked) refuse("its compression " + std::to_string(compression) + " is not supported");
  switch (layout.bits) {
    case 1:
    case 2:
    case 4:
    case 8: {
      const uint32_t used = os2 ? 0 : little_endian(file, kFileHeader + 32, 4);
      const size_t count = used > 0 ? used : size_t{1} << layout.bits;
      const size_t entry_bytes = os2 ? 3 : 4, at = kFileHeader + header_bytes;
      // An OS/2 file may have fewer colours than its bits could name: those up to its pixels.
      const size_t room = layout.pixels_at > at ? (layout.pixels_at - at) / entry_bytes : count;
      read_palette(file, at, std::min(count, room), entry_bytes, layout);
      break;
    }
    case 16:
    case 32:
      read_masks(file, compression, layout);
      break;
    case 24:
      break;
    default:
      refuse("pixels of " + std::to_string(layout.bits) + " bits are not supported");
  }
  layout.row_bytes = (static_cast<size_t>(header.width) * static_cast<size_t>(layout.bits) + 31) / 32 * 4;
  return true;
}

void decode_row(const Layout& layout, const uint8_t* from, int width, uint8_t* to) {
  if (layout.bits == 24) {
    std::memcpy(to, from, size_t{3} * static_cast<size_t>(width));
  } else if (layout.bits <= 8) {
    const int mask = (1 << layout.bits) - 1;
    for (int x = 0; x < width; ++x, to += 3) {
      const int bit = x * layout.bits;
      const int index = from[bit / 8] >> (8 - layout.bits - bit % 8) & mask;
      std::memcpy(to, &layout.palette[static_cast<size_t>(index) * 4], 3);
    }
  } else {
    const Channel red(layout.masks[0]), green(layout.masks[1]), blue(layout.masks[2]);
    const int bytes = layout.bits / 8;
    for (int x = 0; x < width; ++x, from += bytes, to += 3) {
      const uint32_t low = static_cast<uint32_t>(from[0] | from[1] << 8);
      const uint32_t pixel = bytes == 2 ? low : low | static_cast<uint32_t>(from[2]) << 16 | uint32_t{from[3]} << 24;
      to[0] = blue.of(pixel), to[1] = green.of(pixel), to[2] = red.of(pixel);
    }
  }
}

}  // namespace

cv::Mat decode_bmp(ByteView file, const ImageHeader& header) {
  Layout layout;
  if (!read_layout(file, header, layout)) return {};
  const size_t rows = static_cast<size_t>(header.height);
  const size_t used_bytes = (static_cast<size_t>(header.width) * static_cast<size_t>(layout.bits) + 7) / 8;
  // Some writers leave out the padding of the last row.
  const size_t needed = (rows - 1) * layout.row_bytes + used_bytes;
  if (layout.pixels_at > file.size || file.size - layout.pixels_at < needed) {
    refuse("its " + std::to_string(file.size) + " bytes end before its last row");
  }
  cv::Mat pixels(header.height, header.width, CV_8UC3);
  const uint8_t* from = file.data + layout.pixels_at;
  for (int row = 0; row < header.height; ++row, from += layout.row_bytes) {
    decode_row(layout, from, header.width, pixels.ptr(layout.top_down ? row : header.height - 1 - row));
  }
  return pixels;
}

}  // namespace edge_infer
