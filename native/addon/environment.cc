#include "environment.h"

#include <utility>

namespace edge_infer {
namespace {

constexpr int kBackgroundThreads = 2;

}  // namespace

Environment::Environment(Napi::Env env) : background_(std::make_unique<Executor>(kBackgroundThreads)) {
  dispatcher_ = Dispatcher::New(env, "edge-infer", 0, 1, static_cast<void*>(nullptr));
  dispatcher_.Unref(env);
  // Hooks run last in, first out: the threads end before the dispatcher they complete through.
  env.AddCleanupHook([this] { shut_down(); });
}

void Environment::call(Napi::Env env, Napi::Function, void*, Completion* completion) {
  const std::unique_ptr<Completion> owned(completion);
  if (static_cast<napi_env>(env) == nullptr) return;
  const Napi::HandleScope scope(env);
  (*owned)(env);
}

void Environment::complete(std::function<void(Napi::Env)> completion) {
  auto owned = std::make_unique<Completion>(std::move(completion));
  if (dispatcher_.NonBlockingCall(owned.get()) == napi_ok) owned.release();
}

void Environment::work_begins(Napi::Env env) {
  if (under_way_++ == 0) dispatcher_.Ref(env);
}

void Environment::work_ends(Napi::Env env) {
  if (--under_way_ == 0) dispatcher_.Unref(env);
}

void Environment::shut_down() {
  for (Stoppable* stoppable : std::set<Stoppable*>(stoppables_)) stoppable->shut_down();
  background_->stop();
}

}  // namespace edge_infer
