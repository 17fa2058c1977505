#include "image/webp.h"

#include "error.h"

namespace edge_infer {
namespace {

constexpr size_t kFileHeader = 12;
constexpr size_t kChunkHeader = 8;
/// Before the chunks of a frame: position, size, duration, flags.
constexpr size_t kFrameHeader = 16;
constexpr uint8_t kAnimationFlag = 0x02;

uint32_t little_endian(const uint8_t* p, int bytes) {
  uint32_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = value << 8 | p[i];
  return value;
}

void append_little_endian(Bytes& to, size_t value) {
  for (int shift = 0; shift < 32; shift += 8) to.push_back(static_cast<uint8_t>(value >> shift));
}

/// The chunk of one of the names, its header included; empty where there is none that is whole.
ByteView find_chunk(ByteView chunks, std::initializer_list<std::string_view> names) {
  while (chunks.size >= kChunkHeader) {
    const size_t body = little_endian(chunks.data + 4, 4);
    if (body > chunks.size - kChunkHeader) break;
    const size_t size = kChunkHeader + body;
    for (const std::string_view name : names) {
      if (chunks.starts_with(name)) return {chunks.data, size};
    }
    const size_t padded = std::min(size + (body & 1), chunks.size);
    chunks = {chunks.data + padded, chunks.size - padded};
  }
  return {};
}

}  // namespace

std::optional<WebpFrame> first_webp_frame(ByteView file) {
  const ByteView chunks(file.data + kFileHeader, file.size - kFileHeader);
  const ByteView extended = find_chunk(chunks, {"VP8X"});
  if (extended.size <= kChunkHeader || !(extended.data[kChunkHeader] & kAnimationFlag)) return std::nullopt;
  const ByteView frame = find_chunk(chunks, {"ANMF"});
  const ByteView image =
      frame.size < kChunkHeader + kFrameHeader
          ? ByteView()
          : find_chunk({frame.data + kChunkHeader + kFrameHeader, frame.size - kChunkHeader - kFrameHeader},
                       {"VP8 ", "VP8L"});
  if (image.size == 0)
    throw Error(ErrorCode::bad_image, "The WebP cannot be decoded: its animation has no whole first frame");
  WebpFrame first;
  const uint8_t* const position = frame.data + kChunkHeader;
  first.offset = {static_cast<int>(2 * little_endian(position, 3)),
                  static_cast<int>(2 * little_endian(position + 3, 3))};
  first.file = {'R', 'I', 'F', 'F'};
  append_little_endian(first.file, 4 + image.size + (image.size & 1));
  first.file.insert(first.file.end(), {'W', 'E', 'B', 'P'});
  first.file.insert(first.file.end(), image.data, image.end());
  if (image.size & 1) first.file.push_back(0);
  return first;
}

}  // namespace edge_infer
