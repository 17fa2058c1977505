/// Writes pictures of every variant that the tests make into the folder that is named: what the decoders start from.
#include <array>
#include <filesystem>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>

#include "pictures.h"

using namespace edge_infer;

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const std::filesystem::path folder = arguments[1];
  const auto write = [&](const std::string& type, const std::string& name, const Bytes& file) {
    std::filesystem::create_directories(folder / ("decode_" + type));
    std::ofstream(folder / ("decode_" + type) / (name + "." + type), std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  };
  const cv::Mat scene = pictures::scene(21, 18);
  cv::Mat grey, alpha, deep;
  cv::cvtColor(scene, grey, cv::COLOR_BGR2GRAY);
  cv::cvtColor(scene, alpha, cv::COLOR_BGR2BGRA);
  scene.convertTo(deep, CV_16UC3, 257);

  for (int bits = 0; bits < 64; ++bits) {
    pictures::JpegVariant variant;
    variant.quality = 40;
    variant.progressive = (bits & 1) != 0;
    variant.grey = (bits & 2) != 0;
    variant.cmyk = (bits & 6) == 4;
    variant.adobe = (bits & 8) != 0;
    variant.restart_rows = (bits & 16) != 0 ? 1 : 0;
    if ((bits & 32) != 0) variant.horizontal = 1, variant.vertical = 1, variant.orientation = 1 + bits % 8;
    write("jpeg", std::to_string(bits), pictures::jpeg(scene, variant));
  }
  write("jpeg", "arithmetic", pictures::jpeg(scene, {40, false, true}));

  const Bytes plain = pictures::png(scene, false, false);
  write("png", "plain", plain);
  write("png", "interlaced", pictures::png(scene, true, false));
  write("png", "palette", pictures::png(scene, false, true));
  write("png", "interlaced_palette", pictures::png(scene, true, true));
  write("png", "exif", pictures::with_png_chunk(plain, "eXIf", pictures::tiff(6)));
  write("png", "text", pictures::with_png_chunk(plain, "tEXt", Bytes(20, 'a')));
  write("png", "grey", pictures::encode(".png", grey));
  write("png", "alpha", pictures::encode(".png", alpha));
  write("png", "deep", pictures::encode(".png", deep));

  const Bytes lossy = pictures::encode(".webp", scene, {cv::IMWRITE_WEBP_QUALITY, 50});
  const Bytes lossless = pictures::encode(".webp", scene, {cv::IMWRITE_WEBP_QUALITY, 101});
  write("webp", "lossy", lossy);
  write("webp", "lossless", lossless);
  write("webp", "alpha", pictures::encode(".webp", alpha, {cv::IMWRITE_WEBP_QUALITY, 50}));
  write("webp", "animated", pictures::animated_webp({30, 26}, {2, 4}, {lossy, lossless}));

  write("bmp", "plain", pictures::encode(".bmp", scene));
  write("bmp", "grey", pictures::encode(".bmp", grey));
  write("bmp", "alpha", pictures::encode(".bmp", alpha));
  write("bmp", "top_down", pictures::top_down_bmp(scene));
  for (const int header_bytes : {40, 56, 108, 124}) {
    const std::string name = std::to_string(header_bytes);
    write("bmp", "masked32_" + name, pictures::masked_bmp(scene, 32, {0xff0000, 0xff00, 0xff}, header_bytes));
    write("bmp", "masked16_" + name, pictures::masked_bmp(scene, 16, {0xf800, 0x7e0, 0x1f}, header_bytes));
  }
  for (const int bits : {1, 2, 4, 8}) write("bmp", "palette" + std::to_string(bits), pictures::palette_bmp(grey, bits));
}
