#pragma once

#include <atomic>
#include <functional>
#include <mutex>

#include "error.h"

namespace edge_infer {

/// Lets another thread stop a call, whichever stage it is in.
class Cancellation {
 public:
  /// Stops the call: the stage under way ends early, later ones do not begin.
  void cancel() {
    const std::lock_guard lock(mutex_);
    flag_ = true;
    if (interrupt_) interrupt_();
  }

  const std::atomic<bool>* flag() const { return &flag_; }
  void throw_if_cancelled() const {
    if (flag_) throw Error(ErrorCode::aborted, "The call was cancelled");
  }

  /// While it lives, cancel() also calls `interrupt`. Throws ABORTED when the call is cancelled already.
  class Interruptible {
   public:
    Interruptible(Cancellation& cancellation, std::function<void()> interrupt) : cancellation_(cancellation) {
      const std::lock_guard lock(cancellation.mutex_);
      cancellation.throw_if_cancelled();
      cancellation.interrupt_ = std::move(interrupt);
    }
    ~Interruptible() {
      const std::lock_guard lock(cancellation_.mutex_);
      cancellation_.interrupt_ = nullptr;
    }
    Interruptible(const Interruptible&) = delete;
    Interruptible& operator=(const Interruptible&) = delete;

   private:
    Cancellation& cancellation_;
  };

 private:
  std::atomic<bool> flag_{false};
  std::mutex mutex_;
  std::function<void()> interrupt_;
};

}  // namespace edge_infer
