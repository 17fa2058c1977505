#pragma once

#include <napi.h>

#include <chrono>
#include <memory>
#include <set>

#include "executor.h"

namespace edge_infer {

/// Something that runs threads and must be silent before the JavaScript environment ends.
class Stoppable {
 public:
  virtual ~Stoppable() = default;
  /// Cancels what runs. Does not wait.
  virtual void cancel_all() noexcept = 0;
  /// Whose jobs are to be waited for.
  virtual Executor& executor() noexcept = 0;
};

/// What the addon keeps for one JavaScript environment (the main thread, or a worker_thread).
class Environment {
 public:
  /// The end of work that was done on another thread. Destroyed on the JavaScript thread.
  class Completion {
   public:
    virtual ~Completion() = default;
    /// Called on the JavaScript thread, unless that ends before.
    virtual void settle(Napi::Env env) noexcept = 0;
  };

  /// Throws INTERNAL when no threads can be started.
  explicit Environment(Napi::Env env);

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  /// Has `completion` settled on the JavaScript thread. Any thread.
  void complete(std::unique_ptr<Completion> completion) noexcept;

  /// While work is under way the event loop stays alive. JavaScript thread only.
  void work_begins(Napi::Env env);
  void work_ends(Napi::Env env);

  /// Threads for what belongs to no session: loading models, drawing.
  Executor& background() { return background_; }

  void add(Stoppable* stoppable) { stoppables_.insert(stoppable); }
  void remove(Stoppable* stoppable) noexcept { stoppables_.erase(stoppable); }

  Napi::FunctionReference session_constructor;
  Napi::FunctionReference job_server_constructor;

 private:
  static void call(Napi::Env env, Napi::Function, void*, Completion* completion);
  using Dispatcher = Napi::TypedThreadSafeFunction<void, Completion, call>;

  void listen_for_exit(Napi::Env env);
  void cancel_all() noexcept;
  void shut_down() noexcept;
  void shut_down_within(std::chrono::milliseconds limit) noexcept;

  Executor background_;
  Dispatcher dispatcher_;
  int under_way_ = 0;
  std::set<Stoppable*> stoppables_;
};

}  // namespace edge_infer
