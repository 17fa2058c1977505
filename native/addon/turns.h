#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace edge_infer {

/// Lets calls on one object run one by one in the order they were made, though several threads work off the queue.
/// A waiting call cannot starve those before it: the queue starts them first.
class Turns {
 public:
  /// The number of the next call. JavaScript thread only.
  int64_t take() { return next_++; }

  /// Waits for the call's turn; when it ends, the next one's begins.
  class Turn {
   public:
    Turn(Turns& turns, int64_t number) : turns_(turns) {
      std::unique_lock lock(turns_.mutex_);
      turns_.ended_.wait(lock, [&] { return turns_.current_ == number; });
    }
    ~Turn() {
      {
        const std::lock_guard lock(turns_.mutex_);
        ++turns_.current_;
      }
      turns_.ended_.notify_all();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Turns& turns_;
  };

 private:
  int64_t next_ = 0;
  std::mutex mutex_;
  std::condition_variable ended_;
  int64_t current_ = 0;
};

}  // namespace edge_infer
