#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "jobs/job_protocol.h"
#include "pipeline.h"

namespace edge_infer {

/// Answers the jobs that come over a socket, one after the other, on the thread that serves: between a job's arrival
/// and its answer no other thread is woken, and no JavaScript runs. Linux only.
class JobServer {
 public:
  /// `socket` carries messages of job_protocol.h; `memory` is the descriptor of the memory that pictures lie in. Both
  /// are left open. Throws INTERNAL.
  JobServer(int socket, int memory);
  ~JobServer();
  JobServer(const JobServer&) = delete;
  JobServer& operator=(const JobServer&) = delete;

  /// Returns true when the other side has closed the socket and every job is answered, false after pause(): jobs that
  /// have not begun wait for the next call then. Throws INTERNAL where the socket fails.
  bool serve(Pipeline& pipeline, const JobSettings& settings);

  /// Ends serve() after the job it runs. Any thread.
  void pause();

  /// Gives up the job with that id: one that has not begun is answered at once, one that runs when it has ended. One
  /// that was answered is ignored. Any thread.
  void cancel(uint32_t id);

  /// Gives up the running job and ends serve(). Any thread.
  void stop();

 private:
  struct Message {
    std::vector<double> header;
    Bytes data;
  };

  bool wait_for_message();
  std::optional<Message> receive();
  bool read_exactly(void* target, size_t size);
  void answer(Pipeline& pipeline, const JobSettings& settings, const Message& message);
  void send(const std::vector<double>& header, const std::vector<ByteView>& data);
  void send_failure(uint32_t id, ErrorCode code, const std::string& text);
  std::shared_ptr<Cancellation> begin(uint32_t id);
  void end(uint32_t id);

  const int socket_;
  const uint8_t* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  /// Readable when serve() is to end.
  int wake_up_ = -1;

  std::mutex mutex_;
  /// Ids grow: those up to this one are answered.
  uint32_t last_answered_ = 0;
  /// They were answered before they began.
  std::set<uint32_t> cancelled_;
  uint32_t running_id_ = 0;
  std::shared_ptr<Cancellation> running_;

  std::mutex sending_;
};

}  // namespace edge_infer
