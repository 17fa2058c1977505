#include "session_object.h"

#include "async.h"
#include "convert.h"
#include "job_server_object.h"

namespace edge_infer {

SessionCore::SessionCore(const ModelOptions& options, int concurrency) : model(std::make_unique<Model>(options)) {
  if (options.calibration && concurrency != 1)
    throw Error(ErrorCode::bad_option,
                "Expected a concurrency of 1 for calibration but received " + std::to_string(concurrency));
  for (int i = 0; i < concurrency; ++i) pipelines.push_back(std::make_unique<Pipeline>(*model));
  executor = std::make_unique<Executor>(concurrency);
}

void SessionCore::close() {
  const std::lock_guard lock(closing_);
  executor->stop();
  pipelines.clear();
  model.reset();
}

void SessionObject::define(Napi::Env env) {
  const Napi::Function constructor =
      DefineClass(env, "NativeSession",
                  {method<&SessionObject::detect>("detect"), method<&SessionObject::head_pose>("headPose"),
                   method<&SessionObject::calibrate>("calibrate"), method<&SessionObject::statistics>("statistics"),
                   method<&SessionObject::serve_jobs>("serveJobs"), method<&SessionObject::cancel>("cancel"),
                   method<&SessionObject::close>("close"), method<&SessionObject::input_size_for>("inputSizeFor"),
                   accessor<&SessionObject::inputs>("inputs"), accessor<&SessionObject::outputs>("outputs"),
                   accessor<&SessionObject::provider>("provider"), accessor<&SessionObject::warnings>("warnings"),
                   accessor<&SessionObject::pending>("pending")});
  Environment::of(env).session_constructor = Napi::Persistent(constructor);
}

Napi::Value SessionObject::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object object = to_object(info[0], "session options");
  const ModelOptions options = to_model_options(object);
  const int concurrency = to_integer(object.Get("concurrency"), "concurrency", 1);
  return run_async(
      env, Environment::of(env).background(), object,
      [options, concurrency](int) { return std::make_shared<SessionCore>(options, concurrency); },
      [](Napi::Env env, const std::shared_ptr<SessionCore>& core) -> Napi::Value {
        return wrap(Environment::of(env).session_constructor, core);
      });
}

SessionObject::SessionObject(const Napi::CallbackInfo& info)
    : NativeObject(info), environment_(&Environment::of(info.Env())) {
  const Session& session = *core()->model->sessions().front();
  inputs_ = session.inputs();
  outputs_ = session.outputs();
  provider_ = session.provider();
  warnings_ = session.warnings();
  input_sizing_ = core()->model->input_sizing();
  environment_->add(this);
}

SessionObject::~SessionObject() {
  environment_->remove(this);
  core()->executor->stop();
  /// Freeing a model takes long enough to be felt on the JavaScript thread.
  struct Free : Executor::Job {
    explicit Free(std::shared_ptr<SessionCore> core) : core(std::move(core)) {}
    void run(int) noexcept override { delete this; }
    void abandon() noexcept override { delete this; }
    std::shared_ptr<SessionCore> core;
  };
  ignore_failure([this] {
    std::unique_ptr<Executor::Job> free = std::make_unique<Free>(core());
    environment_->background().post(free);
  });
}

void SessionObject::cancel_all() noexcept {
  for (const auto& [token, cancellation] : calls_) {
    ignore_failure([&call = *cancellation] { call.cancel(); });
  }
  if (serving_) ignore_failure([this] { serving_->stop(); });
}

std::shared_ptr<Cancellation> SessionObject::begin_call(int64_t token) {
  auto cancellation = std::make_shared<Cancellation>();
  calls_[token] = cancellation;
  return cancellation;
}

std::function<void()> SessionObject::end_call(int64_t token) {
  // The call keeps this object alive until it is settled.
  return [this, token] { calls_.erase(token); };
}

template <typename Work, typename Convert>
Napi::Value SessionObject::run_call(const Napi::CallbackInfo& info, int64_t token, Napi::Array keep, Work work,
                                    Convert convert) {
  keep.Set(keep.Length(), info.This());
  auto cancellation = begin_call(token);
  try {
    return run_async(
        info.Env(), *core()->executor, keep,
        [core = core(), work = std::move(work), cancellation](int thread) {
          return work(*core->pipelines[static_cast<size_t>(thread)], *cancellation);
        },
        std::move(convert), end_call(token));
  } catch (...) {
    calls_.erase(token);
    throw;
  }
}

Napi::Value SessionObject::detect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const DetectOptions options = to_detect_options(to_object(info[1], "detect options"));
  const int64_t token = to_token(info[2]);
  Napi::Array keep = Napi::Array::New(env);
  const ImageSource image = to_image_source(info[0], keep);
  return run_call(
      info, token, keep,
      [image, options](Pipeline& pipeline, Cancellation& cancellation) {
        return pipeline.detect(image, options, cancellation);
      },
      from_detect_result);
}

Napi::Value SessionObject::head_pose(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Array images = to_array(info[0], "images");
  const HeadPoseOptions options = to_head_pose_options(to_object(info[1], "head pose options"));
  const int64_t token = to_token(info[2]);
  std::vector<ImageSource> sources;
  Napi::Array keep = Napi::Array::New(env);
  for (uint32_t i = 0; i < images.Length(); ++i) sources.push_back(to_image_source(images.Get(i), keep));
  return run_call(
      info, token, keep,
      [sources, options](Pipeline& pipeline, Cancellation& cancellation) {
        return pipeline.head_pose(sources, options, cancellation);
      },
      from_head_pose_result);
}

Napi::Value SessionObject::calibrate(const Napi::CallbackInfo& info) {
  const int64_t token = to_token(info[1]);
  Napi::Array keep = Napi::Array::New(info.Env());
  const ImageSource image = to_image_source(info[0], keep);
  return run_call(
      info, token, keep,
      [core = core().get(), image](Pipeline& pipeline, Cancellation& cancellation) {
        pipeline.calibrate(image, core->statistics, cancellation);
        return true;
      },
      [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); });
}

Napi::Value SessionObject::statistics(const Napi::CallbackInfo& info) {
  return run_async(
      info.Env(), *core()->executor, info.This().As<Napi::Object>(), [core = core()](int) { return core->statistics; },
      from_statistics);
}

Napi::Value SessionObject::serve_jobs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<JobServer> server = JobServerObject::server_of(info[0]);
  const JobSettings settings = to_job_settings(to_object(info[1], "job settings"));
  if (serving_) throw Error(ErrorCode::internal, "This session serves jobs already");
  const Napi::Value ended = run_async(
      env, *core()->executor, info.This().As<Napi::Object>(),
      [core = core(), server, settings](int thread) {
        Pipeline& pipeline = *core->pipelines[static_cast<size_t>(thread)];
        return server->serve([&pipeline, &settings](const Job& job, Cancellation& cancellation) {
          return run_job(pipeline, settings, job, cancellation);
        });
      },
      [](Napi::Env env, bool closed) -> Napi::Value { return Napi::Boolean::New(env, closed); },
      [this] { serving_.reset(); });
  serving_ = server;
  return ended;
}

Napi::Value SessionObject::cancel(const Napi::CallbackInfo& info) {
  const auto call = calls_.find(to_token(info[0]));
  if (call != calls_.end()) call->second->cancel();
  return info.Env().Undefined();
}

Napi::Value SessionObject::close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  core()->executor->refuse();
  if (serving_) serving_->pause();
  return run_async(
      env, environment_->background(), info.This().As<Napi::Object>(),
      [core = core()](int) {
        core->close();
        return true;
      },
      [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); });
}

Napi::Value SessionObject::inputs(const Napi::CallbackInfo& info) { return from_tensor_infos(info.Env(), inputs_); }

Napi::Value SessionObject::outputs(const Napi::CallbackInfo& info) { return from_tensor_infos(info.Env(), outputs_); }

Napi::Value SessionObject::provider(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), provider_); }

Napi::Value SessionObject::warnings(const Napi::CallbackInfo& info) { return from_strings(info.Env(), warnings_); }

Napi::Value SessionObject::input_size_for(const Napi::CallbackInfo& info) {
  const InputSize size = input_sizing_.for_frame(to_integer(info[0], "width", 1), to_integer(info[1], "height", 1));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("width", size.width);
  result.Set("height", size.height);
  return result;
}

Napi::Value SessionObject::pending(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(calls_.size()));
}

}  // namespace edge_infer
