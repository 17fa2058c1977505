#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace edge_infer {

/// Threads of our own that work off one queue. libuv's pool is left to Node.
class Executor {
 public:
  /// From `run` or `abandon` on, one of which is called, a job owns itself.
  class Job {
   public:
    virtual ~Job() = default;
    /// Called on one of the threads with its index.
    virtual void run(int thread) noexcept = 0;
    /// Called instead, on the thread that stops the executor, when the job never began.
    virtual void abandon() noexcept = 0;
  };

  /// Throws INTERNAL when a thread cannot be started.
  explicit Executor(int threads);
  ~Executor() { stop(); }
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Takes the job over, to abandon it at once when the executor is stopping. Throws where there is no memory for it,
  /// and leaves the job to the caller then.
  void post(std::unique_ptr<Job>& job);
  /// Takes no more jobs and abandons those that have not begun. Does not wait.
  void refuse() noexcept;
  /// refuse(), then waits for the running jobs.
  void stop() noexcept;
  /// refuse(), then waits for the running jobs until `limit` at most.
  void stop_within(std::chrono::milliseconds limit) noexcept;

 private:
  void work(int thread) noexcept;

  std::mutex mutex_;
  std::mutex join_mutex_;
  std::condition_variable ready_;
  std::condition_variable ended_;
  size_t working_ = 0;
  std::deque<std::unique_ptr<Job>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace edge_infer
