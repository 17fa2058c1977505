#include "jobs/job_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

#include "error.h"

namespace edge_infer {
namespace {

[[noreturn]] void fail(const char* what) {
  throw Error(ErrorCode::internal, std::string(what) + " failed: " + std::strerror(errno));
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_bytes() {
  static const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  char text[128] = {};
  const ssize_t size = pread(file, text, sizeof text - 1, 0);
  double pages = 0;
  if (size <= 0 || std::sscanf(text, "%*s %lf", &pages) != 1) return 0;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// Measures a job from its making on.
class UsageMeter {
 public:
  JobUsage read() const {
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin_;
    return {wall.count(), edge_infer::cpu_seconds() - cpu_seconds_, resident_bytes()};
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  double cpu_seconds_ = edge_infer::cpu_seconds();
};

}  // namespace

JobServer::JobServer(int socket, int memory) : socket_(socket) {
  struct stat status {};
  if (fstat(memory, &status) != 0) fail("fstat");
  memory_bytes_ = static_cast<size_t>(status.st_size);
  void* const mapped = mmap(nullptr, memory_bytes_, PROT_READ, MAP_SHARED, memory, 0);
  if (mapped == MAP_FAILED) fail("mmap");
  memory_ = static_cast<const uint8_t*>(mapped);
  wake_up_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_up_ < 0) {
    munmap(mapped, memory_bytes_);
    fail("eventfd");
  }
}

JobServer::~JobServer() {
  close(wake_up_);
  munmap(const_cast<uint8_t*>(memory_), memory_bytes_);
}

bool JobServer::serve(Pipeline& pipeline, const JobSettings& settings) {
  while (wait_for_message()) {
    const std::optional<Message> message = receive();
    if (!message) return true;
    answer(pipeline, settings, *message);
  }
  return false;
}

void JobServer::pause() {
  const uint64_t one = 1;
  (void)!write(wake_up_, &one, sizeof one);
}

void JobServer::cancel(uint32_t id) {
  const std::lock_guard lock(mutex_);
  if (running_ && running_id_ == id) {
    running_->cancel();
  } else if (id > last_answered_ && cancelled_.insert(id).second) {
    send_failure(id, ErrorCode::aborted, "The call was cancelled");
  }
}

void JobServer::stop() {
  pause();
  const std::lock_guard lock(mutex_);
  if (running_) running_->cancel();
}

/// False when serve() is to end.
bool JobServer::wait_for_message() {
  pollfd waited[] = {{wake_up_, POLLIN, 0}, {socket_, POLLIN, 0}};
  while (poll(waited, 2, -1) < 0) {
    if (errno != EINTR) fail("poll");
  }
  if (waited[0].revents == 0) return true;
  uint64_t count = 0;
  (void)!read(wake_up_, &count, sizeof count);
  return false;
}

/// Nothing when the other side has closed.
std::optional<JobServer::Message> JobServer::receive() {
  MessagePrefix prefix;
  if (!read_exactly(&prefix, sizeof prefix)) return std::nullopt;
  Message message;
  message.header.resize(prefix.header_bytes / sizeof(double));
  message.data.resize(prefix.data_bytes);
  const bool whole = read_exactly(message.header.data(), message.header.size() * sizeof(double)) &&
                     read_exactly(message.data.data(), message.data.size());
  if (!whole) return std::nullopt;
  return message;
}

bool JobServer::read_exactly(void* target, size_t size) {
  auto* at = static_cast<uint8_t*>(target);
  while (size > 0) {
    const ssize_t count = recv(socket_, at, size, MSG_WAITALL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != ECONNRESET) fail("recv");
    if (count <= 0) return false;
    at += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

void JobServer::answer(Pipeline& pipeline, const JobSettings& settings, const Message& message) {
  const UsageMeter meter;
  const JobRequest request = decode_job(message.header, {memory_, memory_bytes_}, message.data);
  const std::shared_ptr<Cancellation> cancellation = begin(request.id);
  if (!cancellation) return end(request.id);
  try {
    const JobOutcome outcome = run_job(pipeline, settings, request.job, *cancellation);
    end(request.id);
    send(encode_outcome(request.id, outcome, meter.read()), pictures_of(outcome));
  } catch (const Error& error) {
    end(request.id);
    send_failure(request.id, error.code(), error.what());
  } catch (const std::exception& error) {
    end(request.id);
    send_failure(request.id, ErrorCode::internal, error.what());
  }
}

void JobServer::send_failure(uint32_t id, ErrorCode code, const std::string& text) {
  const std::string failure = name_of(code) + ("\n" + text);
  send(encode_failure(id), {ByteView(failure)});
}

void JobServer::send(const std::vector<double>& header, const std::vector<ByteView>& data) {
  MessagePrefix prefix;
  prefix.header_bytes = static_cast<uint32_t>(header.size() * sizeof(double));
  for (const ByteView& part : data) prefix.data_bytes += static_cast<uint32_t>(part.size);
  std::vector<iovec> parts{{&prefix, sizeof prefix}, {const_cast<double*>(header.data()), prefix.header_bytes}};
  for (const ByteView& part : data) parts.push_back({const_cast<uint8_t*>(part.data), part.size});
  const std::lock_guard lock(sending_);
  size_t next = 0;
  while (next < parts.size()) {
    msghdr message{};
    message.msg_iov = &parts[next];
    message.msg_iovlen = std::min<size_t>(parts.size() - next, IOV_MAX);
    ssize_t sent = sendmsg(socket_, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    // The server is gone; so will this process be.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return;
    if (sent < 0) fail("sendmsg");
    for (; next < parts.size() && static_cast<size_t>(sent) >= parts[next].iov_len; ++next) {
      sent -= static_cast<ssize_t>(parts[next].iov_len);
    }
    if (next < parts.size()) {
      parts[next].iov_base = static_cast<uint8_t*>(parts[next].iov_base) + sent;
      parts[next].iov_len -= static_cast<size_t>(sent);
    }
  }
}

/// Nothing for a job that was given up.
std::shared_ptr<Cancellation> JobServer::begin(uint32_t id) {
  const std::lock_guard lock(mutex_);
  if (cancelled_.count(id) > 0) return nullptr;
  running_id_ = id;
  running_ = std::make_shared<Cancellation>();
  return running_;
}

void JobServer::end(uint32_t id) {
  const std::lock_guard lock(mutex_);
  running_.reset();
  last_answered_ = id;
  cancelled_.erase(cancelled_.begin(), cancelled_.upper_bound(id));
}

}  // namespace edge_infer
