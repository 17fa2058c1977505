#include "environment.h"

#include <chrono>
#include <utility>

namespace edge_infer {
namespace {

constexpr int kBackgroundThreads = 2;
/// What process.exit() waits at most: for a model that loads, a stream that opens, a job whose other half never comes.
constexpr std::chrono::seconds kExitPatience{10};

}  // namespace

Environment::Environment(Napi::Env env) : background_(kBackgroundThreads) {
  dispatcher_ = Dispatcher::New(env, "edge-infer", 0, 1, static_cast<void*>(nullptr));
  dispatcher_.Unref(env);
  // Hooks run last in, first out: the threads end before the dispatcher they complete through.
  env.AddCleanupHook([this] { shut_down(); });
  listen_for_exit(env);
}

// process.exit() on the main thread runs no cleanup hooks, only the static destructors of C++; a thread that is still
// in ONNX Runtime then uses what they destroyed. First of the listeners: one that throws keeps later ones from being
// called.
void Environment::listen_for_exit(Napi::Env env) {
  const Napi::Object process = env.Global().Get("process").As<Napi::Object>();
  const Napi::Function stop = Napi::Function::New(
      env, [](const Napi::CallbackInfo& info) { Environment::of(info.Env()).shut_down_within(kExitPatience); });
  process.Get("prependOnceListener").As<Napi::Function>().Call(process, {Napi::String::New(env, "exit"), stop});
}

void Environment::call(Napi::Env env, Napi::Function, void*, Completion* completion) {
  const std::unique_ptr<Completion> owned(completion);
  if (static_cast<napi_env>(env) == nullptr) return;
  const Napi::HandleScope scope(env);
  owned->settle(env);
}

void Environment::complete(std::unique_ptr<Completion> completion) noexcept {
  Completion* const released = completion.release();
  // Refused only when the environment has ended. Its references ended with it, and must not be touched any more.
  (void)dispatcher_.NonBlockingCall(released);
}

void Environment::work_begins(Napi::Env env) {
  if (under_way_ == 0) dispatcher_.Ref(env);
  ++under_way_;
}

void Environment::work_ends(Napi::Env env) {
  if (--under_way_ == 0) dispatcher_.Unref(env);
}

void Environment::cancel_all() noexcept {
  for (Stoppable* const stoppable : stoppables_) stoppable->cancel_all();
}

/// Without a limit: what the threads use goes with the environment. Once the event loop has ended by itself no call is
/// under way; a worker thread that is terminated waits for the end of the stage each is in.
void Environment::shut_down() noexcept {
  cancel_all();
  for (Stoppable* const stoppable : stoppables_) stoppable->executor().stop();
  background_.stop();
}

void Environment::shut_down_within(std::chrono::milliseconds limit) noexcept {
  const auto end = std::chrono::steady_clock::now() + limit;
  const auto left = [end] {
    return std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  };
  cancel_all();
  for (Stoppable* const stoppable : stoppables_) stoppable->executor().stop_within(left());
  background_.stop_within(left());
}

}  // namespace edge_infer
