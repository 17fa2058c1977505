#include "jobs/job_protocol.h"

#include "error.h"

namespace edge_infer {
namespace {

constexpr unsigned kCrops = 1;
constexpr unsigned kBoxes = 2;
constexpr unsigned kRender = 4;

constexpr double kDone = 0;
constexpr double kFailed = 1;

/// Takes one number after the other.
class Reader {
 public:
  explicit Reader(const std::vector<double>& numbers) : numbers_(numbers) {}

  double number() {
    if (next_ >= numbers_.size()) throw Error(ErrorCode::internal, "The header of a job ends too early");
    return numbers_[next_++];
  }
  int integer() { return static_cast<int>(number()); }

 private:
  const std::vector<double>& numbers_;
  size_t next_ = 0;
};

ByteView part(ByteView whole, size_t at, size_t size) {
  if (at > whole.size || size > whole.size - at)
    throw Error(ErrorCode::internal, "A job's picture lies outside its memory");
  return {whole.data + at, size};
}

}  // namespace

JobRequest decode_job(const std::vector<double>& header, ByteView shared, ByteView data) {
  Reader in(header);
  JobRequest request;
  request.id = static_cast<uint32_t>(in.number());
  Job& job = request.job;
  const auto flags = static_cast<unsigned>(in.number());
  job.crops = (flags & kCrops) != 0;
  job.render = (flags & kRender) != 0;
  const double offset = in.number();
  const ByteView pictures = offset < 0 ? data : shared;
  size_t at = offset < 0 ? 0 : static_cast<size_t>(offset);
  const int picture_count = in.integer();
  const int box_count = in.integer();
  for (int i = 0; i < picture_count; ++i) {
    ImageSource image;
    image.kind = static_cast<ImageSource::Kind>(in.integer());
    image.width = in.integer();
    image.height = in.integer();
    image.channels = in.integer();
    image.order = static_cast<ChannelOrder>(in.integer());
    image.data = part(pictures, at, static_cast<size_t>(in.number()));
    at += image.data.size;
    job.images.push_back(image);
  }
  if ((flags & kBoxes) != 0) job.boxes.emplace();
  if (!job.boxes && box_count != 0) throw Error(ErrorCode::internal, "A job without boxes counts them");
  for (int i = 0; i < box_count; ++i) {
    const double x1 = in.number(), y1 = in.number(), x2 = in.number(), y2 = in.number();
    job.boxes->push_back({x1, y1, x2, y2});
  }
  return request;
}

std::vector<double> encode_outcome(uint32_t id, const JobOutcome& outcome, const JobUsage& usage) {
  const StageTimings& stages = outcome.timings;
  std::vector<double> out{static_cast<double>(id),
                          kDone,
                          stages.decode,
                          stages.preprocess,
                          stages.inference,
                          stages.postprocess,
                          stages.encode,
                          usage.wall_seconds,
                          usage.cpu_seconds,
                          usage.rss_bytes,
                          static_cast<double>(outcome.items.size())};
  for (const JobItem& item : outcome.items) {
    const double rendered = item.rendered ? static_cast<double>(item.rendered->size()) : -1;
    out.insert(out.end(), {static_cast<double>(item.width), static_cast<double>(item.height),
                           static_cast<double>(item.detections.size()), static_cast<double>(item.poses.size()),
                           static_cast<double>(item.crops.size()), rendered});
    for (const Detection& found : item.detections) {
      out.insert(out.end(), {found.x1, found.y1, found.x2, found.y2, found.score, static_cast<double>(found.class_id)});
    }
    for (const HeadPose& pose : item.poses) out.insert(out.end(), {pose.yaw, pose.pitch, pose.roll});
    for (const Bytes& crop : item.crops) out.push_back(static_cast<double>(crop.size()));
  }
  return out;
}

std::vector<ByteView> pictures_of(const JobOutcome& outcome) {
  std::vector<ByteView> pictures;
  for (const JobItem& item : outcome.items) {
    pictures.insert(pictures.end(), item.crops.begin(), item.crops.end());
    if (item.rendered) pictures.emplace_back(*item.rendered);
  }
  return pictures;
}

std::vector<double> encode_failure(uint32_t id) { return {static_cast<double>(id), kFailed}; }

}  // namespace edge_infer
