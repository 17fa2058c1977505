#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <set>

#include "executor.h"

namespace edge_infer {

/// Something that runs threads and must be silent before the JavaScript environment ends.
class Stoppable {
 public:
  virtual ~Stoppable() = default;
  /// Cancels what runs and waits for it.
  virtual void shut_down() = 0;
};

/// What the addon keeps for one JavaScript environment (the main thread, or a worker_thread).
class Environment {
 public:
  explicit Environment(Napi::Env env);

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  /// Calls `completion` on the JavaScript thread; may be called from any thread.
  void complete(std::function<void(Napi::Env)> completion);

  /// While work is under way the event loop stays alive. JavaScript thread only.
  void work_begins(Napi::Env env);
  void work_ends(Napi::Env env);

  /// Threads for what belongs to no session: loading models, drawing, video.
  Executor& background() { return *background_; }

  void add(Stoppable* stoppable) { stoppables_.insert(stoppable); }
  void remove(Stoppable* stoppable) { stoppables_.erase(stoppable); }

  Napi::FunctionReference session_constructor;
  Napi::FunctionReference job_server_constructor;
  Napi::FunctionReference reader_constructor;
  Napi::FunctionReference writer_constructor;

 private:
  using Completion = std::function<void(Napi::Env)>;
  static void call(Napi::Env env, Napi::Function, void*, Completion* completion);
  using Dispatcher = Napi::TypedThreadSafeFunction<void, Completion, call>;

  void shut_down();

  Dispatcher dispatcher_;
  int under_way_ = 0;
  std::unique_ptr<Executor> background_;
  std::set<Stoppable*> stoppables_;
};

}  // namespace edge_infer
