#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "environment.h"
#include "errors.h"

namespace edge_infer {

/// Work on an executor that settles a promise. Made and destroyed on the JavaScript thread, because it holds references
/// to JavaScript values. All the memory that its end takes is in it from the beginning.
template <typename Work, typename Convert>
class AsyncCall final : public Executor::Job, public Environment::Completion {
 public:
  AsyncCall(Napi::Env env, Napi::Object keep, Work work, Convert convert, std::function<void()> settled)
      : environment_(Environment::of(env)),
        deferred_(Napi::Promise::Deferred::New(env)),
        keep_(Napi::Persistent(keep)),
        work_(std::move(work)),
        convert_(std::move(convert)),
        settled_(std::move(settled)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void run(int thread) noexcept override {
    try {
      result_.emplace(work_(thread));
    } catch (...) {
      failure_ = current_failure();
    }
    complete();
  }

  void abandon() noexcept override {
    abandoned_ = true;
    complete();
  }

  /// Instead of being run.
  void fail(Failure failure) noexcept {
    failure_ = std::move(failure);
    complete();
  }

  void settle(Napi::Env env) noexcept override {
    ignore_failure([&] {
      try {
        if (abandoned_) throw Error(ErrorCode::closed, "It was closed before the call began");
        if (failure_) throw Error(failure_->code, failure_->message);
        deferred_.Resolve(convert_(env, *result_));
      } catch (...) {
        deferred_.Reject(current_js_error(env).Value());
      }
    });
    ignore_failure([&] { keep_.Reset(); });
    ignore_failure([&] {
      if (settled_) settled_();
    });
    ignore_failure([&] { environment_.work_ends(env); });
  }

 private:
  using Result = std::invoke_result_t<Work, int>;

  void complete() noexcept { environment_.complete(std::unique_ptr<Environment::Completion>(this)); }

  Environment& environment_;
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference keep_;
  Work work_;
  Convert convert_;
  std::function<void()> settled_;
  std::optional<Result> result_;
  std::optional<Failure> failure_;
  bool abandoned_ = false;
};

/// Runs `work(thread)` on an executor and settles the promise it returns with `convert(env, result)`.
/// `keep` (buffers the work reads, the object it belongs to) is held until then.
/// `settled` is called on the JavaScript thread once the promise is settled, however it ends.
template <typename Work, typename Convert>
Napi::Promise run_async(Napi::Env env, Executor& executor, Napi::Object keep, Work work, Convert convert,
                        std::function<void()> settled = nullptr) {
  using Call = AsyncCall<Work, Convert>;
  auto call = std::make_unique<Call>(env, keep, std::move(work), std::move(convert), std::move(settled));
  const Napi::Promise promise = call->promise();
  Environment::of(env).work_begins(env);
  std::unique_ptr<Executor::Job> job = std::move(call);
  try {
    executor.post(job);
  } catch (...) {
    static_cast<Call*>(job.release())->fail(current_failure());
  }
  return promise;
}

}  // namespace edge_infer
