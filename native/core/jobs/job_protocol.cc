#include "jobs/job_protocol.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

namespace edge_infer {
namespace {

/// A number of a record that is decoded.
template <typename T>
struct Input {
  const char* name;
  double min;
  double max;
  bool whole;
  void (*set)(T& record, double value);
};

/// A number of a record that is encoded.
template <typename T>
struct Output {
  const char* name;
  double (*get)(const T& record);
};

constexpr double kAnyMin = std::numeric_limits<double>::lowest();
constexpr double kAnyMax = std::numeric_limits<double>::max();
constexpr double kIntMin = INT32_MIN;
constexpr double kIntMax = INT32_MAX;
/// Whole numbers up to here are exact in a double.
constexpr double kBytesMax = 9007199254740991;

constexpr int kCrops = 1;
constexpr int kBoxes = 2;
constexpr int kRender = 4;
constexpr double kDone = 0;
constexpr double kFailed = 1;

constexpr const char* kImageKinds[] = {"encoded", "raw", "json"};
constexpr const char* kChannelOrders[] = {"rgb", "bgr"};
static_assert(static_cast<int>(ImageSource::Kind::json) == 2 && static_cast<int>(ChannelOrder::bgr) == 1);

struct JobHead {
  double version, id, offset, images, boxes;
  int flags;
};

constexpr Input<JobHead> kJob[] = {
    {"version", 0, kIntMax, true, [](JobHead& job, double value) { job.version = value; }},
    {"id", 0, UINT32_MAX, true, [](JobHead& job, double value) { job.id = value; }},
    {"flags", 0, kCrops | kBoxes | kRender, true,
     [](JobHead& job, double value) { job.flags = static_cast<int>(value); }},
    {"offset", -1, kBytesMax, true, [](JobHead& job, double value) { job.offset = value; }},
    {"images", 0, kIntMax, true, [](JobHead& job, double value) { job.images = value; }},
    {"boxes", 0, kIntMax, true, [](JobHead& job, double value) { job.boxes = value; }}};

constexpr Input<ImageSource> kImage[] = {
    {"kind", 0, std::size(kImageKinds) - 1, true,
     [](ImageSource& image, double value) { image.kind = static_cast<ImageSource::Kind>(value); }},
    {"width", kIntMin, kIntMax, true, [](ImageSource& image, double value) { image.width = static_cast<int>(value); }},
    {"height", kIntMin, kIntMax, true,
     [](ImageSource& image, double value) { image.height = static_cast<int>(value); }},
    {"channels", kIntMin, kIntMax, true,
     [](ImageSource& image, double value) { image.channels = static_cast<int>(value); }},
    {"order", 0, std::size(kChannelOrders) - 1, true,
     [](ImageSource& image, double value) { image.order = static_cast<ChannelOrder>(value); }},
    {"bytes", 0, kBytesMax, true,
     [](ImageSource& image, double value) { image.data.size = static_cast<size_t>(value); }}};

constexpr Input<Box> kBox[] = {{"x1", kAnyMin, kAnyMax, false, [](Box& box, double value) { box.x1 = value; }},
                               {"y1", kAnyMin, kAnyMax, false, [](Box& box, double value) { box.y1 = value; }},
                               {"x2", kAnyMin, kAnyMax, false, [](Box& box, double value) { box.x2 = value; }},
                               {"y2", kAnyMin, kAnyMax, false, [](Box& box, double value) { box.y2 = value; }}};

struct Answer {
  uint32_t id;
  double status;
  StageTimings timings;
  JobUsage usage;
  size_t items;
};

constexpr Output<Answer> kAnswer[] = {
    {"version", [](const Answer&) -> double { return kJobProtocolVersion; }},
    {"id", [](const Answer& answer) -> double { return answer.id; }},
    {"failed", [](const Answer& answer) { return answer.status; }},
    {"decode", [](const Answer& answer) { return answer.timings.decode; }},
    {"preprocess", [](const Answer& answer) { return answer.timings.preprocess; }},
    {"inference", [](const Answer& answer) { return answer.timings.inference; }},
    {"postprocess", [](const Answer& answer) { return answer.timings.postprocess; }},
    {"encode", [](const Answer& answer) { return answer.timings.encode; }},
    {"wallSeconds", [](const Answer& answer) { return answer.usage.wall_seconds; }},
    {"cpuSeconds", [](const Answer& answer) { return answer.usage.cpu_seconds; }},
    {"rssBytes", [](const Answer& answer) { return answer.usage.rss_bytes; }},
    {"items", [](const Answer& answer) { return static_cast<double>(answer.items); }}};
/// Numbers of an answer that a failure has, too.
constexpr size_t kFailureNumbers = 3;

constexpr Output<JobItem> kItem[] = {
    {"width", [](const JobItem& item) -> double { return item.width; }},
    {"height", [](const JobItem& item) -> double { return item.height; }},
    {"detections", [](const JobItem& item) { return static_cast<double>(item.detections.size()); }},
    {"poses", [](const JobItem& item) { return static_cast<double>(item.poses.size()); }},
    {"crops", [](const JobItem& item) { return static_cast<double>(item.crops.size()); }},
    // -1: nothing was drawn.
    {"renderedBytes",
     [](const JobItem& item) { return item.rendered ? static_cast<double>(item.rendered->size()) : -1; }}};

constexpr Output<Detection> kDetection[] = {
    {"x1", [](const Detection& found) -> double { return found.x1; }},
    {"y1", [](const Detection& found) -> double { return found.y1; }},
    {"x2", [](const Detection& found) -> double { return found.x2; }},
    {"y2", [](const Detection& found) -> double { return found.y2; }},
    {"score", [](const Detection& found) -> double { return found.score; }},
    {"classId", [](const Detection& found) -> double { return found.class_id; }}};

constexpr Output<HeadPose> kPose[] = {{"yaw", [](const HeadPose& pose) -> double { return pose.yaw; }},
                                      {"pitch", [](const HeadPose& pose) -> double { return pose.pitch; }},
                                      {"roll", [](const HeadPose& pose) -> double { return pose.roll; }}};

constexpr Output<Bytes> kCrop[] = {{"bytes", [](const Bytes& crop) { return static_cast<double>(crop.size()); }}};

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::internal, message); }

std::string text_of(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", number);
  return text;
}

/// Takes records out of a header that is known to be long enough.
class Reader {
 public:
  explicit Reader(const std::vector<double>& header) : next_(header.data()) {}

  template <typename T, size_t Count>
  T take(const Input<T> (&fields)[Count], const char* record) {
    T result{};
    for (const Input<T>& field : fields) {
      const double value = *next_++;
      if (!(value >= field.min && value <= field.max) || (field.whole && value != std::floor(value))) {
        refuse(std::string("Expected ") + (field.whole ? "a whole number" : "a number") + " in its range as " +
               field.name + " of " + record + " of a job but received " + text_of(value));
      }
      field.set(result, value);
    }
    return result;
  }

 private:
  const double* next_;
};

template <typename T, size_t Count>
void append(std::vector<double>& out, const Output<T> (&fields)[Count], const T& record) {
  for (const Output<T>& field : fields) out.push_back(field.get(record));
}

ByteView part(ByteView whole, size_t at, size_t size) {
  if (at > whole.size || size > whole.size - at) refuse("A picture of a job lies outside its memory");
  return {whole.data + at, size};
}

template <typename Field, size_t Count>
std::pair<std::string, std::vector<std::string>> names(const char* record, const Field (&fields)[Count]) {
  std::vector<std::string> names;
  for (const Field& field : fields) names.emplace_back(field.name);
  return {record, names};
}

void expect_numbers(const std::vector<double>& header, double expected) {
  if (static_cast<double>(header.size()) == expected) return;
  refuse("Expected a job's header of " + text_of(expected) + " numbers but received " + std::to_string(header.size()));
}

}  // namespace

JobProtocol job_protocol() {
  JobProtocol protocol;
  protocol.records = {names("job", kJob),       names("image", kImage), names("box", kBox),
                      names("answer", kAnswer), names("item", kItem),   names("detection", kDetection),
                      names("pose", kPose),     names("crop", kCrop)};
  protocol.flags = {{"crops", kCrops}, {"boxes", kBoxes}, {"render", kRender}};
  protocol.image_kinds.assign(std::begin(kImageKinds), std::end(kImageKinds));
  protocol.channel_orders.assign(std::begin(kChannelOrders), std::end(kChannelOrders));
  return protocol;
}

uint32_t decode_job_id(const std::vector<double>& header) {
  if (header.size() < 2) refuse("A job's header ends before the id");
  if (!(header[1] >= 0 && header[1] <= UINT32_MAX)) {
    refuse("Expected a whole number as id of a job but received " + text_of(header[1]));
  }
  return static_cast<uint32_t>(header[1]);
}

JobRequest decode_job(const std::vector<double>& header, ByteView shared, ByteView data) {
  if (!header.empty() && header[0] != kJobProtocolVersion) {
    refuse("This worker knows version " + std::to_string(kJobProtocolVersion) +
           " of the job protocol but received a job of version " + text_of(header[0]));
  }
  if (header.size() < std::size(kJob)) expect_numbers(header, std::size(kJob));
  Reader in(header);
  const JobHead head = in.take(kJob, "the head");
  expect_numbers(header, std::size(kJob) + head.images * std::size(kImage) + head.boxes * std::size(kBox));
  JobRequest request;
  request.id = static_cast<uint32_t>(head.id);
  Job& job = request.job;
  job.crops = (head.flags & kCrops) != 0;
  job.render = (head.flags & kRender) != 0;
  const ByteView pictures = head.offset < 0 ? data : shared;
  size_t at = head.offset < 0 ? 0 : static_cast<size_t>(head.offset);
  for (int i = 0; i < head.images; ++i) {
    ImageSource image = in.take(kImage, "an image");
    image.data = part(pictures, at, image.data.size);
    at += image.data.size;
    job.images.push_back(image);
  }
  if ((head.flags & kBoxes) != 0) job.boxes.emplace();
  if (!job.boxes && head.boxes != 0) refuse("A job without boxes counts them");
  for (int i = 0; i < head.boxes; ++i) job.boxes->push_back(in.take(kBox, "a box"));
  return request;
}

std::vector<double> encode_outcome(uint32_t id, const JobOutcome& outcome, const JobUsage& usage) {
  std::vector<double> out;
  append(out, kAnswer, {id, kDone, outcome.timings, usage, outcome.items.size()});
  for (const JobItem& item : outcome.items) {
    append(out, kItem, item);
    for (const Detection& found : item.detections) append(out, kDetection, found);
    for (const HeadPose& pose : item.poses) append(out, kPose, pose);
    for (const Bytes& crop : item.crops) append(out, kCrop, crop);
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

Bytes failure_message(uint32_t id, const Failure& failure) {
  std::vector<double> header;
  append(header, kAnswer, {id, kFailed, {}, {}, 0});
  header.resize(kFailureNumbers);
  const std::string text = std::string(name_of(failure.code)) + "\n" + failure.message;
  const MessagePrefix prefix{static_cast<uint32_t>(header.size() * sizeof(double)), static_cast<uint32_t>(text.size())};
  Bytes message(sizeof prefix + prefix.header_bytes + prefix.data_bytes);
  std::memcpy(message.data(), &prefix, sizeof prefix);
  std::memcpy(message.data() + sizeof prefix, header.data(), prefix.header_bytes);
  std::memcpy(message.data() + sizeof prefix + prefix.header_bytes, text.data(), text.size());
  return message;
}

}  // namespace edge_infer
