#include "image/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <new>
#include <string>

// jerror.h needs what jpeglib.h defines.
#include <jpeglib.h>

#include <jerror.h>

#include "error.h"

namespace edge_infer {
namespace {

/// A picture of this many progressive scans was made to waste time; real ones have about ten.
constexpr int kMaxScans = 100;

enum class Failure { none, no_memory, broken, damaged, too_many_scans, other_size, cancelled };

struct Decoder {
  Decoder() = default;
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf on_failure{};
  Failure failure = Failure::none;
  char message[JMSG_LENGTH_MAX] = {};
  const std::atomic<bool>* cancelled = nullptr;
};

Decoder& decoder_of(j_common_ptr info) { return *static_cast<Decoder*>(info->client_data); }

[[noreturn]] void fail(j_common_ptr info, Failure failure) {
  Decoder& decoder = decoder_of(info);
  decoder.failure = failure;
  std::longjmp(decoder.on_failure, 1);
}

void on_error(j_common_ptr info) {
  if (info->err->msg_code == JERR_OUT_OF_MEMORY) fail(info, Failure::no_memory);
  info->err->format_message(info, decoder_of(info).message);
  fail(info, Failure::broken);
}

/// Whether a file that ends without its end marker may lack pixels nobody else would notice: a progressive one misses
/// whole scans, the arithmetic decoder reads zeros. The sequential Huffman decoder reports the bits it misses.
bool end_is_silent(const jpeg_decompress_struct& info) {
  return info.progressive_mode || info.arith_code || info.comps_in_scan < info.num_components;
}

/// Of libjpeg's warnings, those that mean pixels are lost.
void on_message(j_common_ptr common, int level) {
  if (level >= 0) return;
  switch (common->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      fail(common, Failure::damaged);
    case JWRN_JPEG_EOF:
      if (end_is_silent(decoder_of(common).info)) fail(common, Failure::damaged);
      break;
    default:
      break;
  }
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
  Decoder& decoder = decoder_of(info);
  if (decoder.cancelled && decoder.cancelled->load(std::memory_order_relaxed)) fail(info, Failure::cancelled);
  if (decoder.info.input_scan_number > kMaxScans) fail(info, Failure::too_many_scans);
}

/// The smallest numerator n of n/8 that keeps the frame at least as large as asked. Sizes other than 1, 2, 4, 8 have no
/// vectorised inverse DCT and cost more than the pixels they save.
int scale_numerator(int width, int height, const JpegRequest& request) {
  if (request.min_width <= 0 || request.min_height <= 0) return 8;
  for (const int n : {1, 2, 4}) {
    const auto scaled = [n](int side) { return (static_cast<int64_t>(side) * n + 7) / 8; };
    if (scaled(width) >= request.min_width && scaled(height) >= request.min_height) return n;
  }
  return 8;
}

bool is_cmyk(const jpeg_decompress_struct& info) {
  return info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
}

/// The part of the work in which libjpeg may jump out: only plain data lives here.
bool run(Decoder& decoder, ByteView file, const ImageHeader& header, const JpegRequest& request, cv::Mat& frame) {
  jpeg_decompress_struct& info = decoder.info;
  if (setjmp(decoder.on_failure)) return false;
  jpeg_create_decompress(&info);
  info.client_data = &decoder;
  info.progress = &decoder.progress;
  jpeg_mem_src(&info, file.data, static_cast<unsigned long>(file.size));
  jpeg_read_header(&info, TRUE);
  const int width = static_cast<int>(info.image_width), height = static_cast<int>(info.image_height);
  // What libjpeg is about to allocate for must be what the limits were checked for.
  if (width != header.width || height != header.height)
    fail(reinterpret_cast<j_common_ptr>(&info), Failure::other_size);
  info.out_color_space = is_cmyk(info) ? JCS_CMYK : JCS_EXT_BGR;
  info.scale_num = static_cast<unsigned>(scale_numerator(width, height, request));
  info.scale_denom = 8;
  jpeg_start_decompress(&info);
  frame.create(static_cast<int>(info.output_height), static_cast<int>(info.output_width),
               CV_8UC(info.output_components));
  while (info.output_scanline < info.output_height) {
    JSAMPROW rows[4];
    const unsigned left = info.output_height - info.output_scanline;
    const unsigned count = left < 4 ? left : 4;
    for (unsigned i = 0; i < count; ++i) rows[i] = frame.ptr(static_cast<int>(info.output_scanline + i));
    jpeg_read_scanlines(&info, rows, count);
  }
  jpeg_finish_decompress(&info);
  return true;
}

/// Inks are stored inverted: Adobe's programs do, and readers take every such file so, with their marker or without.
cv::Mat bgr_of_cmyk(const cv::Mat& inks) {
  cv::Mat pixels(inks.size(), CV_8UC3);
  for (int y = 0; y < inks.rows; ++y) {
    const uint8_t* from = inks.ptr(y);
    uint8_t* to = pixels.ptr(y);
    for (int x = 0; x < inks.cols; ++x, from += 4, to += 3) {
      for (int channel = 0; channel < 3; ++channel) {
        to[channel] = static_cast<uint8_t>((from[2 - channel] * from[3] + 127) / 255);
      }
    }
  }
  return pixels;
}

[[noreturn]] void report(const Decoder& decoder, size_t size) {
  switch (decoder.failure) {
    case Failure::no_memory:
      throw std::bad_alloc();
    case Failure::cancelled:
      throw Error(ErrorCode::aborted, "The call was cancelled while its image was decoded");
    case Failure::damaged:
      throw Error(ErrorCode::bad_image, "Expected a whole JPEG file but its " + std::to_string(size) +
                                            " bytes end or are damaged before the last row");
    case Failure::too_many_scans:
      throw Error(ErrorCode::bad_image,
                  "Expected a JPEG of at most " + std::to_string(kMaxScans) + " progressive scans");
    case Failure::other_size:
      throw Error(ErrorCode::bad_image, "The JPEG has two frame headers that differ in size");
    default:
      throw Error(ErrorCode::bad_image, std::string("The JPEG cannot be decoded: ") + decoder.message);
  }
}

}  // namespace

cv::Mat decode_jpeg(ByteView file, const ImageHeader& header, const JpegRequest& request,
                    const std::atomic<bool>* cancelled) {
  Decoder decoder;
  decoder.cancelled = cancelled;
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.info.client_data = &decoder;
  decoder.errors.error_exit = on_error;
  decoder.errors.emit_message = on_message;
  decoder.errors.output_message = on_output;
  decoder.progress.progress_monitor = on_progress;
  cv::Mat frame;
  if (!run(decoder, file, header, request, frame)) report(decoder, file.size);
  return is_cmyk(decoder.info) ? bgr_of_cmyk(frame) : frame;
}

}  // namespace edge_infer
