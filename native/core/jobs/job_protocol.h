#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bytes.h"
#include "error.h"
#include "jobs/job.h"

namespace edge_infer {

/// Jobs and their answers between the server and a worker process.
///
/// A message is two lengths in bytes (32 bits each), a header of so many bytes, and data. A header is a list of doubles
/// in the machine's byte order: records, one behind the other. job_protocol.cc describes each kind of record in a
/// table that encodes or decodes it here, and that lib/workers/process/job-protocol.ts asks for by job_protocol().
///
/// A job is the record `job`, then `image` for each picture and `box` for each box. The pictures' bytes lie one behind
/// the other, in shared memory from `offset` on, or in the message's data where `offset` is -1.
///
/// An answer is the record `answer`, then of each picture `item`, its `detection`s, its `pose`s and its `crop`s. The
/// message's data are the pictures, each item's crops before its drawing. The answer of a failed job ends after the
/// status; the message's data are the code, a line feed, and the message.
///
/// Version and id come first in every version, so that a job of another version can be refused.
constexpr int kJobProtocolVersion = 2;

/// The start of a message.
struct MessagePrefix {
  uint32_t header_bytes = 0;
  uint32_t data_bytes = 0;
};

/// A message has at most 2 GiB, as lib/workers/process/framing.ts expects.
constexpr uint32_t kMaxHeaderBytes = 64 << 20;
constexpr uint32_t kMaxDataBytes = (1U << 31) - kMaxHeaderBytes;

/// `JobProtocol` of lib/native.ts.
struct JobProtocol {
  int version = kJobProtocolVersion;
  /// Name of each record, and of its numbers in their order.
  std::vector<std::pair<std::string, std::vector<std::string>>> records;
  /// Name of each flag of a job, and its bit.
  std::vector<std::pair<std::string, int>> flags;
  /// Names by number.
  std::vector<std::string> image_kinds;
  std::vector<std::string> channel_orders;
};
JobProtocol job_protocol();

struct JobRequest {
  uint32_t id = 0;
  Job job;
};

/// The id of a job whose header may otherwise be wrong. Throws INTERNAL where there is none.
uint32_t decode_job_id(const std::vector<double>& header);

/// Reads the header of a job. Throws INTERNAL for one of another version and for one that is none.
JobRequest decode_job(const std::vector<double>& header, ByteView shared, ByteView data);

/// What a job cost the worker.
struct JobUsage {
  double wall_seconds = 0;
  /// Of the whole process.
  double cpu_seconds = 0;
  double rss_bytes = 0;
};

/// Header of an answer.
std::vector<double> encode_outcome(uint32_t id, const JobOutcome& outcome, const JobUsage& usage);

/// The pictures of an answer, in the order of its data.
std::vector<ByteView> pictures_of(const JobOutcome& outcome);

/// A failure, as a whole message.
Bytes failure_message(uint32_t id, const Failure& failure);

}  // namespace edge_infer
