/// A worker's side of the job protocol: messages of a server that are cut off or wrong in their lengths and numbers.
/// Each gets one answer, unless the stream ends or cannot be read on.
#include "jobs/job.h"

#include <fuzzer/FuzzedDataProvider.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <numeric>

#include "jobs/job_protocol.h"
#include "jobs/job_server.h"
#include "refuses_or_returns.h"

using namespace edge_infer;

namespace {

constexpr size_t kSharedBytes = 4096;
/// Whole numbers and others of every range of the protocol.
constexpr double kNumbers[] = {-1,  0,    1,    2,    3,    4,          7,          8,    100,
                               0.5, -0.0, 4095, 4096, 4097, 2147483647, 4294967295, 1e300};

double number(FuzzedDataProvider& in) {
  return in.ConsumeBool() ? in.PickValueInArray(kNumbers) : in.ConsumeFloatingPoint<double>();
}

void append(Bytes& stream, const void* data, size_t size) {
  const auto* const bytes = static_cast<const uint8_t*>(data);
  stream.insert(stream.end(), bytes, bytes + size);
}

/// Appends a message; false where it is the last, because its lengths are wrong.
bool append_message(FuzzedDataProvider& in, Bytes& stream) {
  std::vector<double> header;
  const size_t images = in.ConsumeIntegralInRange<size_t>(0, 3), boxes = in.ConsumeIntegralInRange<size_t>(0, 3);
  if (in.ConsumeBool()) {
    header = {static_cast<double>(kJobProtocolVersion),
              static_cast<double>(in.ConsumeIntegral<uint32_t>()),
              static_cast<double>(in.ConsumeIntegralInRange(0, 7)),
              in.ConsumeBool() ? -1 : static_cast<double>(in.ConsumeIntegralInRange<size_t>(0, kSharedBytes)),
              static_cast<double>(images),
              static_cast<double>(boxes)};
  }
  const size_t numbers = in.ConsumeBool() ? 6 * images + 4 * boxes : in.ConsumeIntegralInRange<size_t>(0, 40);
  for (size_t i = 0; i < numbers; ++i) header.push_back(number(in));
  const Bytes data = in.ConsumeBytes<uint8_t>(in.ConsumeIntegralInRange<size_t>(0, 200));
  MessagePrefix prefix{static_cast<uint32_t>(header.size() * sizeof(double)), static_cast<uint32_t>(data.size())};
  const MessagePrefix right = prefix;
  if (in.ConsumeIntegralInRange(0, 9) == 0) prefix.header_bytes += in.PickValueInArray({1, 7, 8, 64, -1});
  if (in.ConsumeIntegralInRange(0, 9) == 0) prefix.data_bytes += in.PickValueInArray({1, 8, 100, -201});
  append(stream, &prefix, sizeof prefix);
  append(stream, header.data(), right.header_bytes);
  append(stream, data.data(), data.size());
  return prefix.header_bytes == right.header_bytes && prefix.data_bytes == right.data_bytes;
}

/// Reads every byte that the job may read, and answers as much as it may.
JobOutcome run(const Job& job, Cancellation&) {
  JobOutcome outcome;
  for (const ImageSource& image : job.images) {
    const auto sum = std::accumulate(image.data.data, image.data.end(), uint8_t{0});
    if (sum == 1) throw Error(ErrorCode::bad_image, "The sum is one");
    JobItem item;
    item.width = sum;
    if (job.crops) item.crops.resize(2, Bytes(10, sum));
    if (job.render) item.rendered = Bytes(sum);
    item.detections.resize(job.boxes ? job.boxes->size() : 1);
    outcome.items.push_back(std::move(item));
  }
  return outcome;
}

/// How many whole answers lie in the stream.
size_t count_answers(ByteView stream) {
  size_t count = 0;
  for (size_t at = 0; at < stream.size; ++count) {
    MessagePrefix prefix;
    double version = 0;
    if (stream.size - at < sizeof prefix + sizeof version) std::abort();
    std::memcpy(&prefix, stream.data + at, sizeof prefix);
    std::memcpy(&version, stream.data + at + sizeof prefix, sizeof version);
    if (version != kJobProtocolVersion || prefix.header_bytes % sizeof(double) != 0) std::abort();
    at += sizeof prefix + prefix.header_bytes + prefix.data_bytes;
    if (at > stream.size) std::abort();
  }
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int memory = [] {
    const int descriptor = memfd_create("jobs", 0);
    if (ftruncate(descriptor, kSharedBytes) != 0) std::abort();
    return descriptor;
  }();
  FuzzedDataProvider in(data, size);
  Bytes stream;
  size_t sent = 0;
  while (sent < 3 && append_message(in, stream)) ++sent;
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) std::abort();
  // All of it fits into the sockets' buffers, so that one thread can be both sides.
  if (send(sockets[0], stream.data(), stream.size(), 0) != static_cast<ssize_t>(stream.size())) std::abort();
  shutdown(sockets[0], SHUT_WR);
  bool ended = false;
  refuses_or_returns([&] { ended = JobServer(sockets[1], memory).serve(run); });
  close(sockets[1]);
  Bytes answers(1 << 16);
  size_t received = 0;
  for (ssize_t count = 1; count > 0; received += static_cast<size_t>(count > 0 ? count : 0)) {
    count = recv(sockets[0], answers.data() + received, answers.size() - received, 0);
  }
  close(sockets[0]);
  const size_t answered = count_answers({answers.data(), received});
  if (ended ? answered != sent : answered > sent) std::abort();
  return 0;
}
