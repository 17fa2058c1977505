#include <doctest/doctest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "image/letterbox.h"
#include "pictures.h"

using namespace edge_infer;

namespace {

constexpr int kPlanes = 3;

Preprocessing preprocessing(ResizeMode mode) {
  Preprocessing result;
  result.resize = mode;
  result.channel_order = ChannelOrder::rgb;
  const float mean[] = {123.675f, 116.28f, 103.53f}, deviation[] = {58.395f, 57.12f, 57.375f};
  for (int i = 0; i < kPlanes; ++i) result.mean[i] = mean[i], result.scale[i] = 1 / deviation[i];
  return result;
}

/// What cv::resize and plain arithmetic make of it, as grey levels before normalisation.
std::vector<cv::Mat> expected_planes(const cv::Mat& pixels, const Placement& placement, cv::Size input, float pad) {
  cv::Mat exact, resized, canvas(input, CV_32FC3, cv::Scalar::all(pad));
  pixels.convertTo(exact, CV_32F);
  cv::resize(exact, resized, {placement.width, placement.height}, 0, 0, cv::INTER_LINEAR);
  resized.copyTo(canvas(cv::Rect(placement.x, placement.y, placement.width, placement.height)));
  std::vector<cv::Mat> planes;
  cv::split(canvas, planes);
  std::swap(planes[0], planes[2]);
  return planes;
}

double largest_difference(InputWriter& writer, const Preprocessing& settings, const cv::Mat& pixels, cv::Size input) {
  std::vector<float> tensor(static_cast<size_t>(kPlanes) * input.area(), 1e9f);
  const Placement placement = writer.write({pixels, pixels.cols, pixels.rows}, tensor.data());
  const std::vector<cv::Mat> expected = expected_planes(pixels, placement, input, settings.pad);
  double largest = 0;
  for (int plane = 0; plane < kPlanes; ++plane) {
    cv::Mat levels =
        cv::Mat(input, CV_32F, tensor.data() + static_cast<size_t>(plane) * input.area()) / settings.scale[plane] +
        settings.mean[plane];
    largest = std::max(largest, cv::norm(levels, expected[static_cast<size_t>(plane)], cv::NORM_INF));
  }
  return largest;
}

}  // namespace

TEST_CASE("the input is what cv::resize, padding and normalisation give") {
  const cv::Size frames[] = {{1280, 720}, {640, 360}, {640, 640}, {640, 480}, {320, 240}, {100, 75}, {333, 517},
                             {1, 1},      {1, 300},   {300, 1},   {2, 2},     {641, 639}, {17, 640}, {2121, 1414}};
  const cv::Size inputs[] = {{640, 640}, {320, 240}, {320, 320}, {64, 64}, {416, 224}};
  for (const ResizeMode mode : {ResizeMode::stretch, ResizeMode::letterbox_center, ResizeMode::letterbox_top_left}) {
    const Preprocessing settings = preprocessing(mode);
    for (const cv::Size& input : inputs) {
      InputWriter writer(settings, input.width, input.height);
      for (const cv::Size& frame : frames) {
        CAPTURE(frame);
        CAPTURE(input);
        CAPTURE(static_cast<int>(mode));
        CHECK(largest_difference(writer, settings, pictures::scene(frame.width, frame.height), input) < 0.05);
      }
    }
  }
}

TEST_CASE("a picture of the input's size is written as it is, and padding is exact") {
  Preprocessing settings;
  settings.resize = ResizeMode::letterbox_center;
  settings.channel_order = ChannelOrder::bgr;
  InputWriter writer(settings, 64, 64);
  const cv::Mat scene = pictures::scene(64, 32);
  std::vector<float> tensor(3 * 64 * 64);
  const Placement placement = writer.write({scene, 64, 32}, tensor.data());
  CHECK(placement.y == 16);
  CHECK(placement.height == 32);
  int wrong = 0;
  for (int plane = 0; plane < kPlanes; ++plane) {
    for (int y = 0; y < 64; ++y) {
      for (int x = 0; x < 64; ++x) {
        const float expected = y >= 16 && y < 48 ? scene.at<cv::Vec3b>(y - 16, x)[plane] : 114.f;
        wrong += tensor[static_cast<size_t>((plane * 64 + y) * 64 + x)] != expected;
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("part of a larger matrix is read by its rows") {
  const Preprocessing settings = preprocessing(ResizeMode::stretch);
  InputWriter writer(settings, 64, 48);
  const cv::Mat part = pictures::scene(300, 200)(cv::Rect(31, 17, 151, 99));
  CHECK(largest_difference(writer, settings, part, {64, 48}) < 0.05);
}

TEST_CASE("placement goes there and back") {
  const Placement centred = place(ResizeMode::letterbox_center, 1280, 720, 640, 640);
  CHECK(centred.x == 0);
  CHECK(centred.y == 140);
  CHECK(centred.frame_x(320) == doctest::Approx(640));
  CHECK(centred.frame_y(140) == doctest::Approx(0));
  // 720.5 rounds to even, as the exporters of these models do.
  CHECK(place(ResizeMode::letterbox_center, 1280, 721, 640, 640).height == 360);
  CHECK(place(ResizeMode::letterbox_top_left, 1280, 723, 640, 640).height == 361);
  const Placement stretched = place(ResizeMode::stretch, 1280, 720, 320, 240);
  CHECK(stretched.frame_x(320) == doctest::Approx(1280));
  CHECK(stretched.frame_y(240) == doctest::Approx(720));
  for (const ResizeMode mode : {ResizeMode::letterbox_center, ResizeMode::letterbox_top_left}) {
    const Placement thin = place(mode, 100'000, 1, 640, 640);
    CHECK(thin.height == 1);
    CHECK(thin.width == 640);
  }
}
