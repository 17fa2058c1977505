#include "detection.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

namespace edge_infer {
namespace {

void sort_by_score(std::vector<Detection>& detections) {
  std::stable_sort(detections.begin(), detections.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
}

/// Clipped to nothing by the model itself.
bool at_edge(float low, float high, float side) { return high <= 0 || low >= side; }

}  // namespace

std::string number_text(float value) {
  if (std::isnan(value)) return "nan";
  char text[24];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(value));
  return text;
}

std::optional<std::string> find_impossible(std::vector<Detection>& detections, int input_width, int input_height) {
  for (Detection& found : detections) {
    if (!(found.score >= 0 && found.score <= 1 + kScoreRounding)) {
      return "a score of " + number_text(found.score);
    }
    found.score = std::min(found.score, 1.f);
    const bool area = found.x2 > found.x1 && found.y2 > found.y1;
    // A sum is finite where all that is summed is.
    if (area && std::isfinite(found.x1 + found.y1 + found.x2 + found.y2)) continue;
    const bool clipped = at_edge(found.x1, found.x2, static_cast<float>(input_width)) ||
                         at_edge(found.y1, found.y2, static_cast<float>(input_height));
    if (!area && clipped) continue;
    return "the box [" + number_text(found.x1) + ", " + number_text(found.y1) + ", " + number_text(found.x2) + ", " +
           number_text(found.y2) + "]";
  }
  return std::nullopt;
}

bool DetectionLimits::keeps(int class_id) const {
  return classes.empty() || std::binary_search(classes.begin(), classes.end(), class_id);
}

float intersection_over_union(const Detection& a, const Detection& b) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (width <= 0 || height <= 0) return 0;
  const float intersection = width * height;
  const float both = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1);
  return intersection / (both - intersection);
}

void keep_highest_scores(std::vector<Detection>& detections, int max_detections) {
  sort_by_score(detections);
  if (detections.size() > static_cast<size_t>(max_detections)) detections.resize(static_cast<size_t>(max_detections));
}

void non_maximum_suppression(std::vector<Detection>& detections, float iou_threshold, int max_detections) {
  sort_by_score(detections);
  std::map<int, std::vector<const Detection*>> kept_by_class;
  std::vector<Detection> kept;
  // Pointers into `kept` are held, so it must not move.
  kept.reserve(std::min(detections.size(), static_cast<size_t>(max_detections)));
  for (const Detection& candidate : detections) {
    if (kept.size() == static_cast<size_t>(max_detections)) break;
    auto& rivals = kept_by_class[candidate.class_id];
    const bool suppressed = std::any_of(rivals.begin(), rivals.end(), [&](const Detection* rival) {
      return intersection_over_union(*rival, candidate) > iou_threshold;
    });
    if (suppressed) continue;
    kept.push_back(candidate);
    rivals.push_back(&kept.back());
  }
  detections = std::move(kept);
}

void to_frame(std::vector<Detection>& detections, const Placement& placement, int frame_width, int frame_height) {
  const auto width = static_cast<float>(frame_width);
  const auto height = static_cast<float>(frame_height);
  for (Detection& detection : detections) {
    detection.x1 = std::clamp(placement.frame_x(detection.x1), 0.f, width);
    detection.x2 = std::clamp(placement.frame_x(detection.x2), 0.f, width);
    detection.y1 = std::clamp(placement.frame_y(detection.y1), 0.f, height);
    detection.y2 = std::clamp(placement.frame_y(detection.y2), 0.f, height);
  }
  const auto empty = [](const Detection& d) { return !(d.x2 > d.x1 && d.y2 > d.y1); };
  detections.erase(std::remove_if(detections.begin(), detections.end(), empty), detections.end());
}

}  // namespace edge_infer
