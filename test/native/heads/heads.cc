#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "heads/grid.h"
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
  for (const auto& [at, value] : values) data.at(at) = value;
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
}

TEST_CASE("YOLOX and UltraFace exports with their decode are known by their values, or told") {
  // The cells in their order, each with a box of 20 × 20 pixels in its middle.
  std::vector<float> decoded(84 * 6), offsets(84 * 6);
  float* row = decoded.data();
  for (const GridCell& cell : yolo_grid(64, 64)) {
    const float box[] = {(cell.x + 0.5f) * cell.stride, (cell.y + 0.5f) * cell.stride, 20, 20};
    std::copy(std::begin(box), std::end(box), row);
    float* const raw = offsets.data() + (row - decoded.data());
    raw[0] = raw[1] = 0.5f;
    raw[2] = raw[3] = std::log(20 / cell.stride);
    row += 6;
  }
  const auto first_box = [](const std::vector<float>& cells, std::optional<bool> told) {
    std::vector<float> data = cells;
    HeadParameters parameters{find_family("yolox"), 64, 64};
    parameters.boxes_decoded = told;
    const auto head = make_detection_head(parameters, {{"output", "float32", {1, 84, 6}}});
    head->inspect({{data.data(), {1, 84, 6}}});
    data[4] = data[5] = 1;
    std::vector<Detection> found;
    head->decode({{data.data(), {1, 84, 6}}}, {}, found);
    return found.at(0);
  };
  CHECK(first_box(decoded, std::nullopt).x2 == doctest::Approx(14));
  CHECK(first_box(offsets, std::nullopt).x2 == doctest::Approx(14));
  CHECK(first_box(decoded, true).x2 == doctest::Approx(14));
  CHECK(first_box(decoded, false).x2 > 1000);
  CHECK(first_box(std::vector<float>(84 * 6), std::nullopt).x2 == 4);

  const Shape scores{1, 4420, 2}, boxes{1, 4420, 4};
  const std::vector<float> no_scores(2 * 4420);
  std::vector<float> corners(4 * 4420), priors(4 * 4420);
  for (size_t i = 0; i < corners.size(); ++i) {
    corners[i] = i % 4 < 2 ? 0.25f : 0.75f;
    priors[i] = i % 3 == 0 ? 0.5f : -0.5f;
  }
  for (const auto& [values, x2] : {std::pair{&corners, 240.f}, {&priors, 5.f}}) {
    const auto head =
        make_detection_head({find_family("ultraface"), 320, 240}, {{"s", "float32", scores}, {"b", "float32", boxes}});
    head->inspect({{no_scores.data(), scores}, {values->data(), boxes}});
    std::vector<float> one = no_scores;
    one[1] = 1;
    std::vector<Detection> found;
    head->decode({{one.data(), scores}, {values->data(), boxes}}, {}, found);
    CHECK(std::fabs(found.at(0).x2 - x2) < 10);
  }
}

TEST_CASE("a score that is no number is found wherever it stands, and said") {
  const auto impossible = [](std::vector<Detection> found) {
    return find_impossible(found, 64, 64).value_or("nothing");
  };
  const std::pair<const char*, Shape> families[] = {
      {"yolov8", {1, 6, 84}}, {"yolov5", {1, 252, 7}}, {"yolox", {1, 84, 7}}};
  for (const auto& [family, shape] : families) {
    CAPTURE(family);
    const bool rows = shape[2] == 7;
    const auto place = [&](size_t cell, size_t column) { return rows ? 7 * cell + column : column * 84 + cell; };
    const size_t first_score = 4;
    for (const size_t cell : {size_t{0}, size_t{3}, size_t{83}}) {
      CHECK(impossible(decode(family, shape, {{place(cell, first_score), NAN}})) == "a score of nan");
      CHECK(impossible(decode(family, shape, {{place(cell, 4), 0.9f}, {place(cell, 5), NAN}})) == "a score of nan");
    }
    // Infinity times a class score of 0 is no number.
    const size_t last_class = rows ? 6 : 5;
    CHECK(impossible(decode(family, shape, {{place(1, 4), INFINITY}, {place(1, 5), 1}, {place(1, last_class), 1}})) ==
          "a score of inf");
    CHECK(impossible(decode(family, shape, {{place(1, 4), 330}, {place(1, 5), 1}})).find("a score of 330") == 0);
    CHECK(impossible(decode(family, shape, {})) == "nothing");
  }
  // The forms that are cut before their sigmoid or softmax.
  std::vector<std::vector<float>> grids;
  std::vector<TensorInfo> infos;
  for (const int64_t side : {8, 4, 2}) {
    for (const int64_t channels : {64, 1}) {
      grids.emplace_back(static_cast<size_t>(channels * side * side), channels == 1 ? -9.f : 0.f);
      infos.push_back({"grid", "float32", {1, channels, side, side}});
    }
  }
  const auto decode_raw = [&] {
    std::vector<TensorView> views;
    for (size_t i = 0; i < grids.size(); ++i) views.emplace_back(grids[i].data(), infos[i].shape);
    std::vector<Detection> found;
    make_detection_head({find_family("yolov8-raw"), 64, 64}, infos)->decode(views, {}, found);
    return found;
  };
  CHECK(impossible(decode_raw()) == "nothing");
  grids[3][5] = 2;
  CHECK(impossible(decode_raw()) == "nothing");
  for (const float logit : {NAN, INFINITY}) {
    grids[3][5] = logit;
    CHECK(impossible(decode_raw()) == (std::isnan(logit) ? "a score of nan" : "a score of inf"));
  }
  grids[3][5] = 2;
  grids[2][5] = NAN;
  CHECK(impossible(decode_raw()).find("the box [nan, ") == 0);
}

TEST_CASE("what no result can be is told from what rounding and the edge make of one") {
  const auto check = [](const Detection& detection) {
    std::vector<Detection> found = {{1, 1, 2, 2, 0.5f, 0}, detection};
    const auto impossible = find_impossible(found, 64, 32);
    if (!impossible) CHECK((found[1].score >= 0 && found[1].score <= 1));
    return impossible.value_or("");
  };
  CHECK(check({1, 1, 9, 9, 1.0000001f, 0}).empty());
  CHECK(check({1, 1, 9, 9, 1.02f, 0}) == "a score of 1.02");
  CHECK(check({1, 1, 9, 9, -0.5f, 0}) == "a score of -0.5");
  CHECK(check({-900, -900, 9000, 9000, 1, 0}).empty());
  CHECK(check({5, 1, 5, 9, 1, 0}) == "the box [5, 1, 5, 9]");
  CHECK(check({5, 9, 6, 1, 1, 0}) == "the box [5, 9, 6, 1]");
  CHECK(check({0, 1, 0, 9, 1, 0}).empty());
  CHECK(check({64, 1, 64, 9, 1, 0}).empty());
  CHECK(check({5, 32, 9, 32, 1, 0}).empty());
  CHECK(check({5, 1, INFINITY, 9, 1, 0}) == "the box [5, 1, inf, 9]");
  CHECK(check({NAN, 1, 7, 9, 1, 0}) == "the box [nan, 1, 7, 9]");
}

TEST_CASE("scores that are none are refused when the model is loaded") {
  const std::pair<const char*, Shape> families[] = {
      {"yolov8", {1, 6, 84}}, {"yolov5", {1, 252, 7}}, {"yolox", {1, 84, 7}}};
  for (const auto& [family, shape] : families) {
    CAPTURE(family);
    const auto inspect = [&, shape = shape, family = family](float value) {
      std::vector<float> data(static_cast<size_t>(element_count(shape)));
      data.back() = value;
      const auto head = make_detection_head({find_family(family), 64, 64}, {{"output", "float32", shape}});
      return error_of([&] { head->inspect({{data.data(), shape}}); });
    };
    CHECK(inspect(330).first == "MODEL_LOAD");
    CHECK(inspect(-4.5f).second.find("must answer scores from 0 to 1, but has -4.5 among them") != std::string::npos);
    CHECK(inspect(1.0000001f).first.empty());
    CHECK(inspect(-0.001f).first.empty());
  }
}

TEST_CASE("YOLOv5: outputs that are not read are the raw grids, no masks") {
  const auto make = [](const Shape& second) {
    return error_of([&] {
             make_detection_head({find_family("yolov5"), 64, 64},
                                 {{"output", "float32", {1, 252, 7}}, {"more", "float32", second}});
           })
        .first;
  };
  CHECK(make({1, 3, 8, 8, 7}).empty());
  CHECK(make({1, 32, 16, 16}) == "MODEL_LOAD");
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
