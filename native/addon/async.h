#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "environment.h"
#include "error.h"

namespace edge_infer {

/// A JavaScript Error with the code of lib/errors.ts.
inline Napi::Error make_error(Napi::Env env, ErrorCode code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Value().Set("code", name_of(code));
  return error;
}

/// Runs `work(thread)` on an executor and settles the promise it returns with `convert(env, result)`.
/// `keep` (buffers the work reads, the object it belongs to) is held until then.
/// `settled` is called on the JavaScript thread once the promise is settled, however it ends.
template <typename Work, typename Convert>
Napi::Promise run_async(Napi::Env env, Executor& executor, Napi::Object keep, Work work, Convert convert,
                        std::function<void()> settled = nullptr) {
  struct State {
    explicit State(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
    Napi::Promise::Deferred deferred;
    Napi::ObjectReference keep;
    std::function<void()> settled;
  };
  Environment& environment = Environment::of(env);
  auto state = std::make_shared<State>(env);
  state->keep = Napi::Persistent(keep);
  state->settled = std::move(settled);
  const Napi::Promise promise = state->deferred.Promise();
  const auto settle = [&environment](std::shared_ptr<State> held, std::function<void(Napi::Env, State&)> outcome) {
    environment.complete([held = std::move(held), outcome = std::move(outcome), &environment](Napi::Env env) {
      try {
        try {
          outcome(env, *held);
        } catch (const Napi::Error& error) {
          held->deferred.Reject(error.Value());
        }
      } catch (const Napi::Error&) {
        // The JavaScript thread is being terminated: nobody waits for the promise any more.
      }
      held->keep.Reset();
      if (held->settled) held->settled();
      environment.work_ends(env);
    });
  };
  const auto reject = [settle](std::shared_ptr<State> held, ErrorCode code, const std::string& message) {
    settle(std::move(held), [code, message](Napi::Env env, State& state) {
      state.deferred.Reject(make_error(env, code, message).Value());
    });
  };
  environment.work_begins(env);
  Executor::Job job;
  job.run = [state, settle, reject, work = std::move(work), convert = std::move(convert)](int thread) mutable {
    try {
      using Result = decltype(work(thread));
      auto result = std::make_shared<Result>(work(thread));
      settle(state, [result, convert = std::move(convert)](Napi::Env env, State& held) mutable {
        held.deferred.Resolve(convert(env, *result));
      });
    } catch (const Error& error) {
      reject(state, error.code(), error.what());
    } catch (const std::exception& error) {
      reject(state, ErrorCode::internal, error.what());
    }
    // The last reference to JavaScript values must be given up on the JavaScript thread.
    state.reset();
  };
  job.abandon = [state, reject] { reject(state, ErrorCode::closed, "It was closed before the call began"); };
  state.reset();
  if (!executor.post(job)) job.abandon();
  return promise;
}

}  // namespace edge_infer
