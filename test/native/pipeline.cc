#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "../../native/core/annotate.h"
#include "../../native/core/pipeline.h"
#include "../../native/core/runtime.h"

using namespace edge_infer;

namespace {

/// A path that valgrind.sh gives.
std::string given(const char* name) {
  const char* const value = std::getenv(name);
  REQUIRE_MESSAGE(value != nullptr, name);
  return value;
}

Bytes read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(stream), {});
}

ModelOptions model(const char* variable, const char* family, ResizeMode resize, float mean, float deviation) {
  ModelOptions options;
  options.model_paths = {given(variable)};
  options.family = family;
  options.preprocessing.resize = resize;
  for (int i = 0; i < 3; ++i) options.preprocessing.mean[i] = mean, options.preprocessing.scale[i] = 1 / deviation;
  return options;
}

}  // namespace

// Run by valgrind.sh only: the models are large and not always there.
TEST_CASE("each task once" * doctest::skip()) {
  load_runtime(given("EDGE_INFER_ORT_LIBRARY"));
  const Bytes file = read_file(given("TEST_PICTURE"));
  ImageSource picture;
  picture.data = file;
  Cancellation cancellation;
  DetectOptions detect;
  detect.crops.emplace();
  std::vector<Box> faces;
  {
    Model faces_model(model("TEST_FACE_MODEL", "ultraface", ResizeMode::stretch, 127, 128));
    Pipeline pipeline(faces_model);
    const DetectResult found = pipeline.detect(picture, detect, cancellation);
    CHECK(found.detections.size() >= 2);
    CHECK(found.crops->size() == found.detections.size());
    for (const Detection& face : found.detections) faces.push_back({face.x1, face.y1, face.x2, face.y2});
  }
  {
    Model pose_model(model("TEST_POSE_MODEL", "hopenet", ResizeMode::stretch, 116, 57));
    Pipeline pipeline(pose_model);
    HeadPoseOptions options;
    options.boxes = faces;
    const HeadPoseResult poses = pipeline.head_pose({picture}, options, cancellation);
    REQUIRE(poses.poses.size() == faces.size());
    Mark mark{faces[0], "face", 0, poses.poses[0]};
    CHECK(!encode_image(annotate(read_image(picture, {}).frame.pixels, {mark}), ".jpg", 90).empty());
  }
  {
    Model cars_model(model("TEST_CAR_MODEL", "yolov8", ResizeMode::letterbox_center, 0, 255));
    Pipeline pipeline(cars_model);
    CHECK(pipeline.detect(picture, {}, cancellation).detections.size() >= 2);
  }
  {
    Model helmets_model(model("TEST_HELMET_MODEL", "yolox", ResizeMode::letterbox_top_left, 116, 57));
    Pipeline pipeline(helmets_model);
    CHECK(!pipeline.detect(picture, {}, cancellation).detections.empty());
    cancellation.cancel();
    CHECK_THROWS_AS(pipeline.detect(picture, {}, cancellation), Error);
  }
}
