#include "heads/head.h"

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

bool is_detection_family(const std::string& family) {
  return family == "yolov8" || family == "yolov8-raw" || family == "yolov5" || family == "yolox" ||
         family == "ultraface" || family == "ultraface-raw";
}

bool is_head_pose_family(const std::string& family) { return family == "hopenet" || family == "fsanet"; }

std::unique_ptr<DetectionHead> make_detection_head(const std::string& family, const HeadParameters& parameters,
                                                   const std::vector<TensorInfo>& outputs) {
  if (family == "yolov8") return std::make_unique<YoloV8Head>(parameters, outputs);
  if (family == "yolov8-raw") return std::make_unique<YoloV8RawHead>(parameters, outputs);
  if (family == "yolov5") return std::make_unique<YoloV5Head>(parameters, outputs);
  if (family == "yolox") return std::make_unique<YoloXHead>(parameters, outputs);
  if (family == "ultraface") return std::make_unique<UltraFaceHead>(parameters, outputs);
  if (family == "ultraface-raw") return std::make_unique<UltraFaceRawHead>(parameters, outputs);
  throw Error(ErrorCode::bad_option,
              "Expected a detection family (yolov8, yolov5, yolox, ultraface) but received " + family);
}

std::unique_ptr<HeadPoseHead> make_head_pose_head(const std::string& family, const std::vector<TensorInfo>& outputs) {
  if (family == "hopenet") return std::make_unique<HopenetHead>(outputs);
  if (family == "fsanet") return std::make_unique<FsaNetHead>(outputs);
  throw Error(ErrorCode::bad_option, "Expected a head-pose family (hopenet, fsanet) but received " + family);
}

void refuse_outputs(const std::string& family, const std::string& expected, const std::vector<TensorInfo>& outputs) {
  std::string received;
  for (const TensorInfo& output : outputs) {
    if (!received.empty()) received += ", ";
    received += output.name + " " + output.type + " " + shape_text(output.shape);
  }
  throw Error(ErrorCode::model_load, "A model of the family " + family + " must have the outputs " + expected +
                                         " but has " + (received.empty() ? "none" : received));
}

}  // namespace edge_infer
