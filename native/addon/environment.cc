#include "environment.h"

#include <chrono>
#include <utility>

namespace edge_infer {
namespace {

constexpr int kBackgroundThreads = 2;
/// What process.exit() waits at most for a model that loads or a stream that opens.
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
  const Napi::Function stop = Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
    Environment& environment = Environment::of(info.Env());
    environment.stop_calls();
    environment.background_.stop_within(kExitPatience);
  });
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

void Environment::stop_calls() noexcept {
  for (Stoppable* const stoppable : stoppables_) stoppable->shut_down();
}

void Environment::shut_down() noexcept {
  stop_calls();
  background_.stop();
}

}  // namespace edge_infer
