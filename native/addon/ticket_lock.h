#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace edge_infer {

/// Lets calls on one object run one by one in the order they were made, though several threads work off the queue.
/// A waiting call cannot starve those before it: the queue starts them first.
class TicketLock {
 public:
  /// The ticket of the next call, which must be served. JavaScript thread only.
  int64_t draw() { return next_++; }

  /// Waits until the ticket is served, and holds the lock.
  class Guard {
   public:
    Guard(TicketLock& lock, int64_t ticket) : lock_(lock) {
      std::unique_lock held(lock_.mutex_);
      lock_.changed_.wait(held, [&] { return lock_.serving_ == ticket; });
    }
    ~Guard() {
      {
        const std::lock_guard held(lock_.mutex_);
        ++lock_.serving_;
      }
      lock_.changed_.notify_all();
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    TicketLock& lock_;
  };

 private:
  int64_t next_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t serving_ = 0;
};

}  // namespace edge_infer
