#include "executor.h"

#include <pthread.h>

#include <utility>

#include "posix.h"

namespace edge_infer {

Executor::Executor(int threads) {
  try {
    start_threads(threads, [this](int i) { threads_.emplace_back([this, i] { work(i); }); });
  } catch (...) {
    stop();
    throw;
  }
}

void Executor::post(std::unique_ptr<Job>& job) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) jobs_.push_back(std::move(job));
  }
  if (job) {
    job.release()->abandon();
  } else {
    ready_.notify_one();
  }
}

void Executor::refuse() noexcept {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  while (!jobs_.empty()) {
    Job* const job = jobs_.front().release();
    jobs_.pop_front();
    lock.unlock();
    job->abandon();
    lock.lock();
  }
  lock.unlock();
  ready_.notify_all();
}

void Executor::stop() noexcept {
  refuse();
  const std::lock_guard lock(join_mutex_);
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Executor::stop_within(std::chrono::milliseconds limit) noexcept {
  refuse();
  {
    std::unique_lock lock(mutex_);
    if (!ended_.wait_for(lock, limit, [this] { return working_ == 0; })) return;
  }
  stop();
}

void Executor::work(int thread) noexcept {
  pthread_setname_np(pthread_self(), "edge-infer");
  while (true) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      ++working_;
    }
    job.release()->run(thread);
    {
      const std::lock_guard lock(mutex_);
      --working_;
    }
    ended_.notify_all();
  }
}

}  // namespace edge_infer
