#include "heads/registry.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

#include "model/runtime.h"
#include "onnx.h"
#include "pictures.h"
#include "pipeline.h"

using namespace edge_infer;
using pictures::error_of;

namespace {

/// As a transformer's export with its decode in the graph: int64 labels, boxes as fractions of the sizes it is given.
class ExportHead : public DetectionHead {
 public:
  ExportHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs) {
    if (outputs.size() != 5 || outputs[0].type != "int64") refuse_outputs(parameters.family, {}, outputs);
    count_ = static_cast<size_t>(outputs[0].shape[1]);
  }

  void decode(const std::vector<TensorView>& outputs, const DetectionLimits& limits,
              std::vector<Detection>& detections) const override {
    const auto* const labels = outputs[0].data<int64_t>();
    const auto* const boxes = outputs[1].data<float>();
    const auto* const scores = outputs[2].data<float>();
    const auto* const sizes = outputs[3].data<int64_t>();
    const float scale = outputs[4].data<float>()[0];
    const auto width = static_cast<float>(sizes[0]), height = static_cast<float>(sizes[1]);
    for (size_t i = 0; i < count_; ++i) {
      if (!(scores[i] > limits.score_threshold)) continue;
      const float* const box = boxes + 4 * i;
      detections.push_back({box[0] * width, box[1] * height, box[2] * width, box[3] * height, scores[i] * scale,
                            static_cast<int>(labels[i])});
    }
  }

 private:
  size_t count_;
};

const Family kExport{"export",
                     "1xN (labels), 1xNx4 (boxes), 1xN (scores)",
                     MakeDetectionHead{[](const HeadParameters& parameters, const std::vector<TensorInfo>& outputs) {
                       return std::unique_ptr<DetectionHead>(new ExportHead(parameters, outputs));
                     }},
                     FamilyScope::internal,
                     Suppression::none,
                     {{{"target_sizes",
                        ElementType::int64,
                        {1, 2},
                        [](const FrameGeometry& geometry, size_t index) -> double {
                          return index == 0 ? geometry.input_width : geometry.input_height;
                        }},
                       {"scale",
                        ElementType::float32,
                        {1},
                        [](const FrameGeometry& geometry, size_t) {
                          return static_cast<double>(geometry.frame_width) / geometry.input_width;
                        }}},
                      {ElementType::float32, ElementType::int64}}};

constexpr auto kFloat = ElementType::float32, kInt64 = ElementType::int64;
const Shape kImage = {1, 3, 32, 64};

/// Where the extra inputs stand before and after the image.
void describe_inputs(onnx::Graph& graph) {
  graph.input("target_sizes", kInt64, {1, 2});
  graph.input("images", kFloat, kImage);
  graph.input("scale", kFloat, {1});
}

/// Three boxes in one place, the second the surest.
void describe_outputs(onnx::Graph& graph) {
  graph.constant<int64_t>("labels", {1, 3}, {7, 1 << 20, 7});
  graph.constant<float>("boxes", {1, 3, 4}, {0, 0, .5f, .5f, .25f, .5f, .75f, 1, 0, 0, .5f, .5f});
  graph.constant<float>("scores", {1, 3}, {.3f, .4f, .2f});
  graph.echo("sizes", kInt64, {1, 2}, "target_sizes");
  graph.echo("scales", kFloat, {1}, "scale");
}

ModelOptions options_of(onnx::Graph& graph, const char* family) {
  ModelOptions options;
  options.model_paths = {graph.path()};
  options.family = family;
  return options;
}

std::string refusal(onnx::Graph& graph, const Family& family) {
  const auto error = error_of([&] {
    const Model model(options_of(graph, family.name), family);
    const Pipeline pipeline(model);
  });
  CHECK(error.first == "MODEL_LOAD");
  return error.second;
}

/// Given by core.unit.test.ts and valgrind.sh.
const char* const kRuntime = std::getenv("EDGE_INFER_ORT_LIBRARY");

}  // namespace

TEST_CASE("every family has a row of its own, found by its name") {
  std::set<std::string> names;
  for (const Family& family : families()) {
    CAPTURE(family.name);
    CHECK(names.insert(family.name).second);
    CHECK(&find_family(family.name) == &family);
    CHECK(std::string(family.outputs).size() > 5);
  }
  const auto error = error_of([] { find_family("yolov11"); });
  CHECK(error.first == "BAD_OPTION");
  for (const std::string& name : names) CHECK(error.second.find(name) != std::string::npos);
  CHECK(error.second.find(") but received yolov11") != std::string::npos);
}

TEST_CASE("a model of three inputs and integer outputs, whose boxes are final" * doctest::skip(!kRuntime)) {
  load_runtime(kRuntime);
  onnx::Graph graph;
  describe_inputs(graph);
  describe_outputs(graph);
  const Model model(options_of(graph, kExport.name), kExport);
  Pipeline pipeline(model);
  Cancellation cancellation;
  DetectOptions options;
  options.limits.score_threshold = 0.1f;
  const Bytes pixels(128 * 32 * 3);
  ImageSource frame{ImageSource::Kind::raw, pixels, 128, 32};
  auto found = pipeline.detect(frame, options, cancellation).detections;
  REQUIRE_MESSAGE(found.size() == 3, "overlapping boxes are kept");
  CHECK(found[0].class_id == 1 << 20);
  CHECK(found[0].score == doctest::Approx(.8));
  CHECK(found[0].x1 == 32);
  CHECK(found[0].y1 == 16);
  CHECK(found[0].x2 == 96);
  CHECK(found[0].y2 == 32);
  CHECK(found[2].score == doctest::Approx(.4));
  options.limits.max_detections = 2;
  frame.width = frame.height = 64;
  found = pipeline.detect(frame, options, cancellation).detections;
  REQUIRE(found.size() == 2);
  CHECK_MESSAGE(found[0].score == doctest::Approx(.4), "the extra inputs are those of this frame");
}

TEST_CASE("inputs and outputs that a family does not have are refused" * doctest::skip(!kRuntime)) {
  load_runtime(kRuntime);
  {
    onnx::Graph graph;
    graph.input("images", kFloat, kImage);
    describe_outputs(graph);
    CHECK(refusal(graph, kExport).find("cannot load the model") != std::string::npos);
  }
  {
    onnx::Graph graph;
    graph.input("images", kFloat, kImage);
    graph.constant<float>("boxes", {1, 3, 4}, std::vector<float>(12));
    CHECK(refusal(graph, kExport) ==
          "The model must have the inputs float32 1x3xHxW, target_sizes int64 1x2, scale float32 1 but has images "
          "float32 1x3x32x64");
    CHECK(refusal(graph, find_family("yolov5")).find("must have the outputs 1x126x(5 + classes)") != std::string::npos);
  }
  {
    onnx::Graph graph;
    graph.input("target_sizes", kFloat, {1, 2});
    graph.input("images", kFloat, kImage);
    graph.input("scale", kFloat, {1});
    graph.constant<float>("boxes", {1, 3, 4}, std::vector<float>(12));
    CHECK(refusal(graph, kExport).find("target_sizes int64 1x2, scale float32 1 but has target_sizes float32 1x2") !=
          std::string::npos);
  }
  onnx::Graph graph;
  graph.input("images", kFloat, kImage);
  graph.constant<int64_t>("labels", {1, 3}, {1, 2, 3});
  CHECK(refusal(graph, find_family("yolov5")) == "The model's output labels must be float32 but is int64");
}
