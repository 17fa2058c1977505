#include "jobs/job.h"

#include <cstdio>

#include "image/annotate.h"

namespace edge_infer {
namespace {

constexpr int kRenderedQuality = 95;

Bytes draw(const ImageSource& image, const std::vector<Mark>& marks, const Cancellation& cancellation) {
  DecodeRequest request;
  request.cancelled = cancellation.flag();
  return encode_image(annotate(read_image(image, request).frame.pixels, marks), ".jpg", kRenderedQuality);
}

std::string caption(const Detection& detection, const std::vector<std::string>& labels) {
  const auto id = static_cast<size_t>(detection.class_id);
  char score[16];
  std::snprintf(score, sizeof score, " %.2f", static_cast<double>(detection.score));
  return (id < labels.size() ? labels[id] : std::to_string(detection.class_id)) + score;
}

std::vector<Mark> marks_of(const std::vector<Detection>& detections, const std::vector<std::string>& labels) {
  std::vector<Mark> marks;
  marks.reserve(detections.size());
  for (const Detection& found : detections) {
    marks.push_back({{found.x1, found.y1, found.x2, found.y2}, caption(found, labels), found.class_id, std::nullopt});
  }
  return marks;
}

std::vector<Mark> marks_of(const std::vector<Box>& boxes, const std::vector<HeadPose>& poses) {
  std::vector<Mark> marks;
  marks.reserve(boxes.size());
  for (size_t i = 0; i < boxes.size(); ++i) marks.push_back({boxes[i], "", 0, poses[i]});
  return marks;
}

JobOutcome detect(Pipeline& pipeline, const JobSettings& settings, const Job& job, Cancellation& cancellation) {
  DetectOptions options;
  options.limits = settings.limits;
  if (job.crops) options.crops = settings.crops;
  JobOutcome outcome;
  for (const ImageSource& image : job.images) {
    DetectResult found = pipeline.detect(image, options, cancellation);
    outcome.timings += found.timings;
    JobItem item;
    item.width = found.width;
    item.height = found.height;
    if (found.crops) item.crops = std::move(*found.crops);
    if (job.render) item.rendered = draw(image, marks_of(found.detections, settings.labels), cancellation);
    item.detections = std::move(found.detections);
    outcome.items.push_back(std::move(item));
  }
  return outcome;
}

JobOutcome estimate_head_poses(Pipeline& pipeline, const JobSettings& settings, const Job& job,
                               Cancellation& cancellation) {
  const HeadPoseResult found = pipeline.head_pose(job.images, {job.boxes, settings.face_margin}, cancellation);
  JobOutcome outcome;
  outcome.timings = found.timings;
  for (size_t i = 0; i < found.sizes.size(); ++i) {
    JobItem item;
    item.width = found.sizes[i].width;
    item.height = found.sizes[i].height;
    if (job.boxes) {
      item.poses = found.poses;
      if (job.render) item.rendered = draw(job.images[i], marks_of(*job.boxes, found.poses), cancellation);
    } else {
      item.poses = {found.poses[i]};
    }
    outcome.items.push_back(std::move(item));
  }
  return outcome;
}

}  // namespace

JobOutcome run_job(Pipeline& pipeline, const JobSettings& settings, const Job& job, Cancellation& cancellation) {
  return pipeline.detects_objects() ? detect(pipeline, settings, job, cancellation)
                                    : estimate_head_poses(pipeline, settings, job, cancellation);
}

}  // namespace edge_infer
