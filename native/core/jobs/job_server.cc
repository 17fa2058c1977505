#include "jobs/job_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <string>

#include "error.h"

namespace edge_infer {
namespace {

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

size_t size_of_file(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) throw_errno("fstat");
  return static_cast<size_t>(status.st_size);
}

}  // namespace

JobServer::JobServer(int socket, int memory)
    : socket_(socket),
      memory_(memory, size_of_file(memory), PROT_READ),
      bell_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd") {}

bool JobServer::serve(const Run& run) {
  const std::unique_lock serving(serving_, std::try_to_lock);
  if (!serving) throw Error(ErrorCode::internal, "Another session serves these jobs already");
  while (wait_for_message()) {
    const std::optional<Message> message = receive();
    if (!message) return !stopping_;
    answer(run, *message);
  }
  return false;
}

void JobServer::pause() {
  pausing_ = true;
  ring();
}

void JobServer::stop() {
  stopping_ = true;
  ring();
  const std::lock_guard lock(mutex_);
  if (running_) running_->cancel();
}

void JobServer::cancel(uint32_t id) {
  {
    const std::lock_guard lock(mutex_);
    if (running_ && running_id_ == id) return running_->cancel();
    if (id <= last_answered_ || cancelled_.count(id) > 0) return;
    early_answers_.push_back({failure_message(id, {ErrorCode::aborted, "The call was cancelled"}), 0});
    try {
      cancelled_.insert(id);
    } catch (...) {
      early_answers_.pop_back();
      throw;
    }
  }
  try {
    const std::unique_lock sending(sending_, std::try_to_lock);
    if (sending && send_early_answers()) return;
  } catch (...) {
    // The serving thread meets the same failure and reports it.
  }
  ring();
}

/// False when serve() is to end.
bool JobServer::wait_for_message() {
  while (true) {
    send({});
    if (stopping_ || pausing_.exchange(false)) return false;
    pollfd waited[] = {{bell_.get(), POLLIN, 0}, {socket_, POLLIN, 0}};
    if (poll(waited, 2, -1) < 0 && errno != EINTR) throw_errno("poll");
    if (waited[0].revents != 0) {
      silence();
    } else if (waited[1].revents != 0) {
      return true;
    }
  }
}

/// Nothing when the other side has closed, or stop() was called.
std::optional<JobServer::Message> JobServer::receive() {
  MessagePrefix prefix;
  if (!read_exactly(&prefix, sizeof prefix)) return std::nullopt;
  if (prefix.header_bytes > kMaxHeaderBytes || prefix.header_bytes % sizeof(double) != 0) {
    throw Error(ErrorCode::internal, "Expected a job's header of 64-bit numbers, at most " +
                                         std::to_string(kMaxHeaderBytes) + " bytes, but received one of " +
                                         std::to_string(prefix.header_bytes) + " bytes");
  }
  if (prefix.data_bytes > kMaxDataBytes) {
    throw Error(ErrorCode::internal, "Expected at most " + std::to_string(kMaxDataBytes) +
                                         " bytes of pictures in a job but received " +
                                         std::to_string(prefix.data_bytes));
  }
  Message message;
  message.header.resize(prefix.header_bytes / sizeof(double));
  message.data.resize(prefix.data_bytes);
  const bool whole =
      read_exactly(message.header.data(), prefix.header_bytes) && read_exactly(message.data.data(), prefix.data_bytes);
  if (!whole) return std::nullopt;
  return message;
}

bool JobServer::read_exactly(void* target, size_t size) {
  auto* at = static_cast<uint8_t*>(target);
  while (size > 0) {
    const ssize_t count = recv(socket_, at, size, MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (wait_for_socket(POLLIN)) continue;
      return false;
    }
    if (count < 0 && errno != ECONNRESET) throw_errno("recv");
    if (count <= 0) return false;
    at += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

void JobServer::answer(const Run& run, const Message& message) {
  const UsageMeter meter;
  const uint32_t id = decode_job_id(message.header);
  const std::shared_ptr<Cancellation> cancellation = begin(id);
  if (!cancellation) return end(id);
  JobOutcome outcome;
  std::vector<double> header;
  try {
    const JobRequest request = decode_job(message.header, {memory_.data(), memory_.bytes()}, message.data);
    outcome = run(request.job, *cancellation);
    header = encode_outcome(id, outcome, meter.read());
  } catch (...) {
    const Failure failure = current_failure();
    end(id);
    return send_failure(id, failure);
  }
  end(id);
  send_outcome(id, header, pictures_of(outcome));
}

void JobServer::send_outcome(uint32_t id, const std::vector<double>& header, const std::vector<ByteView>& pictures) {
  MessagePrefix prefix;
  std::vector<iovec> parts{{&prefix, sizeof prefix},
                           {const_cast<double*>(header.data()), header.size() * sizeof(double)}};
  size_t bytes = 0;
  for (const ByteView& picture : pictures) {
    bytes += picture.size;
    parts.push_back({const_cast<uint8_t*>(picture.data), picture.size});
  }
  if (parts[1].iov_len > kMaxHeaderBytes || bytes > kMaxDataBytes) {
    return send_failure(id, {ErrorCode::too_large, "The answer is larger than a message may be"});
  }
  prefix.header_bytes = static_cast<uint32_t>(parts[1].iov_len);
  prefix.data_bytes = static_cast<uint32_t>(bytes);
  send(std::move(parts));
}

void JobServer::send_failure(uint32_t id, const Failure& failure) {
  Bytes message = failure_message(id, failure);
  send({{message.data(), message.size()}});
}

/// Sends the early answers, then the parts, and waits for the other side to read. The serving thread only.
void JobServer::send(std::vector<iovec> parts) {
  const std::lock_guard sending(sending_);
  size_t next = 0;
  while (!send_early_answers() || !send_now(parts, next)) {
    if (!wait_for_socket(POLLOUT)) return;
  }
}

/// Sends what the socket has room for; true when none is left. The caller holds `sending_`.
bool JobServer::send_early_answers() {
  while (true) {
    EarlyAnswer* first = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (early_answers_.empty()) return true;
      // Others only append, which leaves it where it is.
      first = &early_answers_.front();
    }
    std::vector<iovec> parts{{first->message.data() + first->sent, first->message.size() - first->sent}};
    size_t next = 0;
    const bool whole = send_now(parts, next);
    if (!whole) {
      first->sent = first->message.size() - parts[0].iov_len;
      return false;
    }
    const std::lock_guard lock(mutex_);
    early_answers_.pop_front();
  }
}

/// Sends what the socket has room for, of the parts from `next` on; true when that was all. To a server that is gone,
/// nothing is sent: this process will end, too. The caller holds `sending_`.
bool JobServer::send_now(std::vector<iovec>& parts, size_t& next) {
  while (next < parts.size()) {
    msghdr message{};
    message.msg_iov = &parts[next];
    message.msg_iovlen = std::min<size_t>(parts.size() - next, IOV_MAX);
    ssize_t sent = sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
      if (errno == EPIPE || errno == ECONNRESET) return true;
      throw_errno("sendmsg");
    }
    for (; next < parts.size() && static_cast<size_t>(sent) >= parts[next].iov_len; ++next) {
      sent -= static_cast<ssize_t>(parts[next].iov_len);
    }
    if (next < parts.size()) {
      parts[next].iov_base = static_cast<uint8_t*>(parts[next].iov_base) + sent;
      parts[next].iov_len -= static_cast<size_t>(sent);
    }
  }
  return true;
}

/// Waits until the socket takes (POLLOUT) or has (POLLIN) more; false when stop() was called.
bool JobServer::wait_for_socket(short events) {
  pollfd waited[] = {{bell_.get(), POLLIN, 0}, {socket_, events, 0}};
  if (poll(waited, 2, -1) < 0 && errno != EINTR) throw_errno("poll");
  if (waited[0].revents != 0) silence();
  return !stopping_;
}

/// Nothing for a job that was cancelled.
std::shared_ptr<Cancellation> JobServer::begin(uint32_t id) {
  const std::lock_guard lock(mutex_);
  if (cancelled_.count(id) > 0) return nullptr;
  running_ = std::make_shared<Cancellation>();
  running_id_ = id;
  return running_;
}

void JobServer::end(uint32_t id) {
  const std::lock_guard lock(mutex_);
  running_.reset();
  last_answered_ = id;
  cancelled_.erase(cancelled_.begin(), cancelled_.upper_bound(id));
}

void JobServer::ring() const {
  const uint64_t one = 1;
  (void)!write(bell_.get(), &one, sizeof one);
}

void JobServer::silence() const {
  uint64_t count = 0;
  (void)!read(bell_.get(), &count, sizeof count);
}

}  // namespace edge_infer
