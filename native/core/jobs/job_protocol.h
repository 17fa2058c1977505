#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bytes.h"
#include "jobs/job.h"

namespace edge_infer {

/// Jobs and their answers between the server and a worker process, as lib/workers/process/job-protocol.ts writes and
/// reads them. A message is two lengths in bytes (32 bits each), a header of so many bytes, and data. Headers are lists
/// of doubles in the machine's byte order.

/// The start of a message.
struct MessagePrefix {
  uint32_t header_bytes = 0;
  uint32_t data_bytes = 0;
};

struct JobRequest {
  uint32_t id = 0;
  Job job;
};

/// Reads the header of a job: id, flags (1 crops, 2 boxes, 4 render), place of the pictures in shared memory (-1: they
/// are the message's data), number of pictures, number of boxes; of each picture kind, width, height, channels, order
/// and bytes; of each box x1, y1, x2, y2. The pictures' bytes lie one behind the other. Throws INTERNAL for a header
/// that is not one.
JobRequest decode_job(const std::vector<double>& header, ByteView shared, ByteView data);

/// What a job cost the worker.
struct JobUsage {
  double wall_seconds = 0;
  /// Of the whole process.
  double cpu_seconds = 0;
  double rss_bytes = 0;
};

/// Header of an answer: id, 0, the five stages' milliseconds, the usage, number of items; of each item width, height,
/// numbers of detections, poses and crops, bytes of the drawing (-1: none), then x1, y1, x2, y2, score and class id of
/// each detection, yaw, pitch and roll of each pose, and the bytes of each crop. The message's data are the pictures,
/// each item's crops before its drawing.
std::vector<double> encode_outcome(uint32_t id, const JobOutcome& outcome, const JobUsage& usage);

/// The pictures of an answer, in the order of its data.
std::vector<ByteView> pictures_of(const JobOutcome& outcome);

/// Header of a failure: id, 1. The message's data are the code, a line feed, and the message.
std::vector<double> encode_failure(uint32_t id);

}  // namespace edge_infer
