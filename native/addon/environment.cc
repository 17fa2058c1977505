#include "environment.h"

#include <utility>

namespace edge_infer {
namespace {

constexpr int kBackgroundThreads = 2;

}  // namespace

Environment::Environment(Napi::Env env) : background_(kBackgroundThreads) {
  dispatcher_ = Dispatcher::New(env, "edge-infer", 0, 1, static_cast<void*>(nullptr));
  dispatcher_.Unref(env);
  // Hooks run last in, first out: the threads end before the dispatcher they complete through.
  env.AddCleanupHook([this] { shut_down(); });
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

void Environment::shut_down() noexcept {
  for (Stoppable* const stoppable : stoppables_) stoppable->shut_down();
  background_.stop();
}

}  // namespace edge_infer
