#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "cancellation.h"
#include "jobs/job_protocol.h"
#include "posix.h"

namespace edge_infer {

/// Answers the jobs that come over a socket, one after the other, on the thread that serves: between a job's arrival
/// and its answer no other thread is woken, and no JavaScript runs. Linux only.
class JobServer {
 public:
  using Run = std::function<JobOutcome(const Job& job, Cancellation& cancellation)>;

  /// `socket` carries messages of job_protocol.h; `memory` is the descriptor of the memory that pictures lie in. Both
  /// are left open. Throws INTERNAL.
  JobServer(int socket, int memory);
  JobServer(const JobServer&) = delete;
  JobServer& operator=(const JobServer&) = delete;

  /// Returns true when the other side has closed the socket and every job is answered, false after pause() or stop():
  /// jobs that have not begun wait for the next call then. What `run` throws becomes the job's answer. Throws INTERNAL
  /// where the socket fails, or what comes over it is no message.
  bool serve(const Run& run);

  /// Ends serve() after the job it runs. Any thread.
  void pause();

  /// Cancels the job with that id: one that has not begun is answered at once, one that runs when it has ended. One
  /// that was answered is ignored. Any thread; never waits for the socket.
  void cancel(uint32_t id);

  /// Cancels the running job and ends serve(), also where it waits for the other side to read, or to send the rest of a
  /// message. Any thread.
  void stop();

 private:
  struct Message {
    std::vector<double> header;
    Bytes data;
  };
  /// An answer that cancel() has left to be sent.
  struct EarlyAnswer {
    Bytes message;
    size_t sent;
  };

  bool wait_for_message();
  std::optional<Message> receive();
  bool read_exactly(void* target, size_t size);
  void answer(const Run& run, const Message& message);
  void send_outcome(uint32_t id, const std::vector<double>& header, const std::vector<ByteView>& pictures);
  void send(std::vector<iovec> parts);
  void send_failure(uint32_t id, const Failure& failure);
  bool send_early_answers();
  bool send_now(std::vector<iovec>& parts, size_t& next);
  bool wait_for_socket(short events);
  std::shared_ptr<Cancellation> begin(uint32_t id);
  void end(uint32_t id);
  void ring() const;
  void silence() const;

  const int socket_;
  const Mapping memory_;
  /// Wakes the serving thread, to look at `pausing_`, `stopping_` and the early answers.
  const FileDescriptor bell_;
  std::atomic<bool> pausing_{false};
  std::atomic<bool> stopping_{false};

  /// Held by serve().
  std::mutex serving_;
  /// Held while a message is sent. Taken before `mutex_`; the JavaScript thread only tries.
  std::mutex sending_;

  /// Held for moments.
  std::mutex mutex_;
  std::deque<EarlyAnswer> early_answers_;
  /// Ids grow: those up to this one are answered.
  uint32_t last_answered_ = 0;
  /// They were answered before they began.
  std::set<uint32_t> cancelled_;
  uint32_t running_id_ = 0;
  std::shared_ptr<Cancellation> running_;
};

}  // namespace edge_infer
