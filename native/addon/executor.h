#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace edge_infer {

/// Threads of our own that work off one queue. libuv's pool is left to Node.
class Executor {
 public:
  struct Job {
    /// Called on one of the threads with its index.
    std::function<void(int thread)> run;
    /// Called instead, on the thread that stops the executor, when the job never began.
    std::function<void()> abandon;
  };

  explicit Executor(int threads);
  ~Executor() { stop(); }
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Takes the job over; false, and the job untouched, when the executor is stopping.
  bool post(Job& job);
  /// Takes no more jobs and abandons those that have not begun. Does not wait.
  void refuse();
  /// refuse(), then waits for the running jobs.
  void stop();

 private:
  void work(int thread);

  std::mutex mutex_;
  std::mutex join_mutex_;
  std::condition_variable ready_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace edge_infer
