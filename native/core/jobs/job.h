#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pipeline.h"

namespace edge_infer {

/// One piece of work for a worker: `Job` of lib/inference/job.ts.
struct Job {
  /// Run one after the other. Head-pose models: faces, used whole, unless `boxes` says where they are in the one image.
  std::vector<ImageSource> images;
  std::optional<std::vector<Box>> boxes;
  /// Detection models: answer a JPEG crop of each object.
  bool crops = false;
  /// Answer each picture with its results drawn on it, as a JPEG.
  bool render = false;
};

/// What was found in one picture (for head poses: in one face image, or at all the boxes of the image).
struct JobItem {
  int width = 0;
  int height = 0;
  std::vector<Detection> detections;
  std::vector<HeadPose> poses;
  std::vector<Bytes> crops;
  std::optional<Bytes> rendered;
};

struct JobOutcome {
  std::vector<JobItem> items;
  /// Summed over the pictures.
  StageTimings timings;
};

/// What holds for every job of a worker.
struct JobSettings {
  DetectionLimits limits;
  /// Of the crops, where a job asks for them.
  DetectOptions::Crops crops;
  /// How much wider than its box a face is cut out, as a share of the longer side.
  double face_margin = 0.3;
  /// Class names by id, to be drawn.
  std::vector<std::string> labels;
};

/// Throws BAD_IMAGE, BAD_REQUEST, TOO_LARGE, ABORTED, INFERENCE, MODEL_OUTPUT.
JobOutcome run_job(Pipeline& pipeline, const JobSettings& settings, const Job& job, Cancellation& cancellation);

}  // namespace edge_infer
