#pragma once

#include <optional>
#include <string>
#include <vector>

#include "image/letterbox.h"

namespace edge_infer {

/// One object: corners in pixels, confidence 0 to 1, class id of the model's labels.
struct Detection {
  float x1, y1, x2, y2;
  float score;
  int class_id;
};

struct DetectionLimits {
  float score_threshold = 0.25f;
  float iou_threshold = 0.45f;
  int max_detections = 1000;
  /// Class ids to keep, ascending; all when empty.
  std::vector<int> classes;

  bool keeps(int class_id) const;
};

/// By how much the rounding of 8-bit numbers may put a score out of 0 to 1.
constexpr float kScoreRounding = 0.01f;

/// As short as it can be told from others.
std::string number_text(float value);

/// What of a model's answer, in pixels of its input, no result can be: a score outside 0 to 1, a side that is no
/// number, a box without area but for one at the input's edge. In words; nothing where there is none. Scores that
/// rounding put above 1 become 1.
std::optional<std::string> find_impossible(std::vector<Detection>& detections, int input_width, int input_height);

/// Intersection over union of two boxes.
float intersection_over_union(const Detection& a, const Detection& b);

/// Keeps the best of each group of overlapping boxes of one class, best first, at most `max_detections`.
void non_maximum_suppression(std::vector<Detection>& detections, float iou_threshold, int max_detections);

/// Keeps the best `max_detections`, best first.
void keep_highest_scores(std::vector<Detection>& detections, int max_detections);

/// Moves boxes from input to frame pixels and clips them to the frame. Boxes left without area are dropped.
void to_frame(std::vector<Detection>& detections, const Placement& placement, int frame_width, int frame_height);

}  // namespace edge_infer
