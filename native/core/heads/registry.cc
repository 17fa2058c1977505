#include "heads/registry.h"

#include "detection.h"
#include "error.h"
#include "heads/fsanet.h"
#include "heads/hopenet.h"
#include "heads/ultraface.h"
#include "heads/ultraface_raw.h"
#include "heads/yolov5.h"
#include "heads/yolov8.h"
#include "heads/yolov8_raw.h"
#include "heads/yolox.h"

namespace edge_infer {
namespace {

template <typename Head>
std::unique_ptr<DetectionHead> detections(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs) {
  return std::make_unique<Head>(parameters, outputs);
}

template <typename Head>
std::unique_ptr<HeadPoseHead> head_poses(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs) {
  return std::make_unique<Head>(parameters, outputs);
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {
      {"yolov8", "1x(4 + classes)x(cells)", detections<YoloV8Head>},
      {"yolov8-raw",
       "1x64x(grid of 8), 1x(classes)x(grid of 8), 1x64x(grid of 16), 1x(classes)x(grid of 16), "
       "1x64x(grid of 32), 1x(classes)x(grid of 32)",
       detections<YoloV8RawHead>, FamilyScope::internal},
      {"yolov5", "1x(anchors)x(5 + classes)", detections<YoloV5Head>},
      {"yolox", "1x(cells)x(5 + classes)", detections<YoloXHead>},
      {"ultraface", "1x(priors)x2 (scores) and 1x(priors)x4 (boxes), for one class", detections<UltraFaceHead>},
      {"ultraface-raw",
       "1x6x(grid of 8) with 1x12x(grid of 8), 1x4x(grid of 16) with 1x8x(grid of 16), "
       "1x4x(grid of 32) with 1x8x(grid of 32), 1x6x(grid of 64) with 1x12x(grid of 64)",
       detections<UltraFaceRawHead>, FamilyScope::internal},
      {"hopenet", "1x66, 1x66 and 1x66 (yaw, pitch, roll)", head_poses<HopenetHead>},
      {"fsanet", "1x3 (yaw, pitch, roll)", head_poses<FsaNetHead>},
  };
  return kFamilies;
}

const Family& find_family(const std::string& name) {
  std::string names;
  for (const Family& family : families()) {
    if (name == family.name) return family;
    names += (names.empty() ? "" : ", ") + std::string(family.name);
  }
  throw Error(ErrorCode::bad_option, "Expected a model family (" + names + ") but received " + name);
}

KnownSize classes_of(const HeadParameters& parameters, int others) {
  const std::string name = others > 0 ? "(" + std::to_string(others) + " + classes)" : "(classes)";
  return {name, parameters.class_count > 0 ? std::to_string(others + parameters.class_count) : name};
}

void expect_scores(const Family& family, const float* values, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (!(values[i] < -kScoreRounding || values[i] > 1 + kScoreRounding)) continue;
    throw Error(ErrorCode::model_load, std::string("A model of the family ") + family.name +
                                           " must answer scores from 0 to 1, but has " + number_text(values[i]) +
                                           " among them: it is for something else than boxes (keypoints, masks, turned "
                                           "boxes), or was exported without its sigmoid");
  }
}

void refuse_outputs(const Family& family, const std::vector<KnownSize>& sizes, const std::vector<TensorInfo>& outputs) {
  std::string expected = family.outputs;
  for (const auto& [name, size] : sizes) {
    for (size_t at = expected.find(name); at != std::string::npos; at = expected.find(name, at + size.size())) {
      expected.replace(at, name.size(), size);
    }
  }
  throw Error(ErrorCode::model_load, std::string("A model of the family ") + family.name + " must have the outputs " +
                                         expected + " but has " + tensors_text(outputs));
}

}  // namespace edge_infer
