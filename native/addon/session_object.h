#pragma once

#include <napi.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "environment.h"
#include "jobs/job_server.h"
#include "native_object.h"
#include "pipeline.h"

namespace edge_infer {

/// A model, a pipeline a thread, and the calls under way. Lives as long as a call or the JavaScript object needs it.
struct SessionCore {
  SessionCore(const ModelOptions& options, int concurrency);

  /// Waits for the running calls and frees the model; queued calls are abandoned. May be called more than once, from
  /// any thread but those of the executor.
  void close();

  std::unique_ptr<Model> model;
  std::vector<std::unique_ptr<Pipeline>> pipelines;
  std::unique_ptr<Executor> executor;
  /// Of the outputs, for calibration; the executor's only thread writes and reads it.
  std::vector<TensorStatistics> statistics;

 private:
  std::mutex closing_;
};

/// `NativeSession` of lib/native.ts.
class SessionObject : public NativeObject<SessionObject, SessionCore>, public Stoppable {
 public:
  static constexpr const char* kName = "a session";
  static constexpr const char* kMaker = "createSession";
  static constexpr napi_type_tag kTypeTag{0x5a0e7c91d4f84c3b, 0xb2196fd83ea04c57};

  static void define(Napi::Env env);
  /// `createSession(options)`: loads and warms the model on a background thread.
  static Napi::Value create(const Napi::CallbackInfo& info);

  explicit SessionObject(const Napi::CallbackInfo& info);
  ~SessionObject() override;

  void cancel_all() noexcept override;
  Executor& executor() noexcept override { return *core()->executor; }

 private:
  Napi::Value detect(const Napi::CallbackInfo& info);
  Napi::Value head_pose(const Napi::CallbackInfo& info);
  Napi::Value calibrate(const Napi::CallbackInfo& info);
  Napi::Value serve_jobs(const Napi::CallbackInfo& info);
  Napi::Value statistics(const Napi::CallbackInfo& info);
  Napi::Value cancel(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  Napi::Value inputs(const Napi::CallbackInfo& info);
  Napi::Value outputs(const Napi::CallbackInfo& info);
  Napi::Value provider(const Napi::CallbackInfo& info);
  Napi::Value warnings(const Napi::CallbackInfo& info);
  Napi::Value input_size_for(const Napi::CallbackInfo& info);
  Napi::Value pending(const Napi::CallbackInfo& info);

  /// Remembers a call under its token until it is settled.
  std::shared_ptr<Cancellation> begin_call(int64_t token);
  std::function<void()> end_call(int64_t token);
  /// Runs `work(pipeline, cancellation)` on a thread of the session under a token. `keep` holds what the work reads.
  template <typename Work, typename Convert>
  Napi::Value run_call(const Napi::CallbackInfo& info, int64_t token, Napi::Array keep, Work work, Convert convert);

  Environment* const environment_;
  std::map<int64_t, std::shared_ptr<Cancellation>> calls_;
  /// What serve_jobs() answers for, while it does.
  std::shared_ptr<JobServer> serving_;
  /// What the session says of itself also after it is closed.
  std::vector<TensorInfo> inputs_;
  std::vector<TensorInfo> outputs_;
  std::string provider_;
  std::vector<std::string> warnings_;
  InputSizing input_sizing_;
};

}  // namespace edge_infer
