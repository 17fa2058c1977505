#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "heads/registry.h"
#include "pictures.h"

using namespace edge_infer;
using pictures::error_of;

namespace {

std::unique_ptr<DetectionHead> make_detection_head(const HeadParameters& parameters,
                                                   const std::vector<TensorInfo>& outputs) {
  return std::get<MakeDetectionHead>(parameters.family.make_head)(parameters, outputs);
}

/// The boxes a head finds in one output that holds `rows` at the given places, zeros elsewhere.
std::vector<Detection> decode(const std::string& family, const Shape& shape,
                              const std::vector<std::pair<size_t, float>>& values, const DetectionLimits& limits = {}) {
  std::vector<float> data(static_cast<size_t>(element_count(shape)));
  for (const auto& [at, value] : values) data[at] = value;
  const auto head = make_detection_head({find_family(family), 64, 64}, {{"output", "float32", shape}});
  std::vector<Detection> found;
  head->decode({{data.data(), shape}}, limits, found);
  return found;
}

std::string refusal(const std::string& family, int width, int height, int classes, const Shape& shape) {
  const HeadParameters parameters{find_family(family), width, height, classes};
  const auto error = error_of([&] { make_detection_head(parameters, {{"out", "float32", shape}}); });
  CHECK(error.first == "MODEL_LOAD");
  return error.second;
}

}  // namespace

TEST_CASE("YOLOv5: objectness times class score, centre and size") {
  // 64 × 64: (64 + 16 + 4) cells, three anchors each.
  const size_t row = 7 * 100;
  const std::vector<std::pair<size_t, float>> values = {{row, 30},       {row + 1, 20},   {row + 2, 10},  {row + 3, 8},
                                                        {row + 4, 0.8f}, {row + 5, 0.3f}, {row + 6, 0.9f}};
  const auto found = decode("yolov5", {1, 252, 7}, values);
  REQUIRE(found.size() == 1);
  CHECK(found[0].x1 == 25);
  CHECK(found[0].y1 == 16);
  CHECK(found[0].x2 == 35);
  CHECK(found[0].y2 == 24);
  CHECK(found[0].class_id == 1);
  CHECK(found[0].score == doctest::Approx(0.72));
  DetectionLimits only_first;
  only_first.classes = {0};
  CHECK(decode("yolov5", {1, 252, 7}, values, only_first).empty());
  only_first.score_threshold = 0.2f;
  CHECK(decode("yolov5", {1, 252, 7}, values, only_first).at(0).score == doctest::Approx(0.24));
}

TEST_CASE("YOLOv8: class scores lie apart from the boxes") {
  const size_t cells = 84, cell = 70;
  const auto found =
      decode("yolov8", {1, 6, 84},
             {{cell, 30}, {cells + cell, 20}, {2 * cells + cell, 10}, {3 * cells + cell, 8}, {5 * cells + cell, 0.6f}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].x2 == 35);
  CHECK(found[0].class_id == 1);
  CHECK(found[0].score == doctest::Approx(0.6));
}

TEST_CASE("YOLOX: centres are offsets in cells, sizes logarithms") {
  // The second cell of the second row of the stride-16 grid, after the 64 cells of stride 8.
  const size_t row = 7 * (64 + 4 + 1);
  const auto found =
      decode("yolox", {1, 84, 7},
             {{row, 0.5f}, {row + 1, 0.25f}, {row + 2, std::log(2.f)}, {row + 3, 0}, {row + 4, 0.9f}, {row + 5, 0.9f}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].x1 == doctest::Approx(24 - 16));
  CHECK(found[0].x2 == doctest::Approx(24 + 16));
  CHECK(found[0].y1 == doctest::Approx(20 - 8));
  CHECK(found[0].score == doctest::Approx(0.81));
  // What overflows is dropped when it is clipped to the frame, or fills it: never a crash.
  auto wild = decode("yolox", {1, 84, 7}, {{row, NAN}, {row + 2, 1000}, {row + 3, 1000}, {row + 4, 1}, {row + 5, 1}});
  to_frame(wild, place(ResizeMode::stretch, 64, 64, 64, 64), 64, 64);
  CHECK(wild.size() <= 1);
}

TEST_CASE("outputs that do not fit a family are refused with both shapes") {
  CHECK(refusal("yolov8", 640, 640, 80, {1, 84, 8401}) ==
        "A model of the family yolov8 must have the outputs 1x84x8400 but has out float32 1x84x8401");
  CHECK(refusal("yolov5", 640, 640, 80, {1, 84, 8400}).find("1x25200x85 but has out float32 1x84x8400") !=
        std::string::npos);
  CHECK(refusal("yolox", 320, 320, 2, {1, 2100, 85}).find("1x2100x7 but has out float32 1x2100x85") !=
        std::string::npos);
  CHECK(refusal("ultraface", 320, 240, 1, {1, 4420, 2}).find("1x4420x4") != std::string::npos);
  CHECK(refusal("yolov8", 640, 640, 0, {84, 8400}).find("84x8400") != std::string::npos);
  CHECK(refusal("yolov8-raw", 64, 32, 0, {1, 64, 4, 8}) ==
        "A model of the family yolov8-raw must have the outputs 1x64x4x8, 1x(classes)x4x8, 1x64x2x4, 1x(classes)x2x4, "
        "1x64x1x2, 1x(classes)x1x2 but has out float32 1x64x4x8");
  CHECK(refusal("ultraface-raw", 320, 240, 1, {1}).find("1x6x30x40 with 1x12x30x40, 1x4x15x20") != std::string::npos);
  for (const char* family : {"hopenet", "fsanet"}) {
    const Family& row = find_family(family);
    const auto make = std::get<MakeHeadPoseHead>(row.make_head);
    CHECK(error_of([&] { make({row}, {{"out", "float32", {1, 4}}}); }).first == "MODEL_LOAD");
  }
}

TEST_CASE("without suppression the best are kept, in order, up to the limit") {
  std::vector<Detection> found = {{0, 0, 9, 9, 0.7f, 0}, {0, 0, 9, 9, 0.9f, 0}, {0, 0, 9, 9, 0.8f, 0}};
  keep_highest_scores(found, 10);
  CHECK(found.size() == 3);
  CHECK(found[0].score == 0.9f);
  keep_highest_scores(found, 2);
  REQUIRE(found.size() == 2);
  CHECK(found[1].score == 0.8f);
}

TEST_CASE("suppression keeps the best of each class, in order, up to the limit") {
  const Detection a{0, 0, 10, 10, 0.9f, 0}, b{1, 1, 11, 11, 0.8f, 0}, c{1, 1, 11, 11, 0.7f, 1},
      d{40, 40, 50, 50, 0.95f, 0};
  std::vector<Detection> found = {b, c, a, d};
  non_maximum_suppression(found, 0.45f, 10);
  REQUIRE(found.size() == 3);
  CHECK(found[0].score == 0.95f);
  CHECK(found[1].score == 0.9f);
  CHECK(found[2].class_id == 1);
  found = {a, b, c, d};
  non_maximum_suppression(found, 1, 2);
  CHECK(found.size() == 2);
  CHECK(intersection_over_union(a, a) == 1);
  CHECK(intersection_over_union(a, d) == 0);
  CHECK(intersection_over_union(a, b) == doctest::Approx(81.0 / 119));
}
