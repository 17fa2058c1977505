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
  const Napi::Function constructor = DefineClass(
      env, "NativeSession",
      {InstanceMethod<&SessionObject::detect>("detect"), InstanceMethod<&SessionObject::head_pose>("headPose"),
       InstanceMethod<&SessionObject::calibrate>("calibrate"), InstanceMethod<&SessionObject::statistics>("statistics"),
       InstanceMethod<&SessionObject::serve_jobs>("serveJobs"), InstanceMethod<&SessionObject::cancel>("cancel"),
       InstanceMethod<&SessionObject::close>("close"), InstanceMethod<&SessionObject::input_size_for>("inputSizeFor"),
       InstanceAccessor<&SessionObject::inputs>("inputs"), InstanceAccessor<&SessionObject::outputs>("outputs"),
       InstanceAccessor<&SessionObject::provider>("provider"), InstanceAccessor<&SessionObject::warnings>("warnings"),
       InstanceAccessor<&SessionObject::pending>("pending")});
  Environment::of(env).session_constructor = Napi::Persistent(constructor);
}

Napi::Value SessionObject::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsObject()) throw Napi::TypeError::New(env, "Expected session options");
  const auto object = info[0].As<Napi::Object>();
  const ModelOptions options = to_model_options(object);
  const int concurrency = to_integer(object.Get("concurrency"), "concurrency", 1);
  return run_async(
      env, Environment::of(env).background(), object,
      [options, concurrency](int) { return std::make_shared<SessionCore>(options, concurrency); },
      [](Napi::Env env, const std::shared_ptr<SessionCore>& core) -> Napi::Value {
        auto held = core;
        return Environment::of(env).session_constructor.New(
            {Napi::External<std::shared_ptr<SessionCore>>::New(env, &held)});
      });
}

SessionObject::SessionObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Sessions are made by createSession()");
  }
  core_ = *info[0].As<Napi::External<std::shared_ptr<SessionCore>>>().Data();
  const Session& session = *core_->model->sessions().front();
  inputs_ = session.inputs();
  outputs_ = session.outputs();
  provider_ = session.provider();
  warnings_ = session.warnings();
  input_sizing_ = core_->model->input_sizing();
  environment_ = &Environment::of(info.Env());
  environment_->add(this);
}

SessionObject::~SessionObject() {
  if (environment_) environment_->remove(this);
  if (!core_) return;
  core_->executor->stop();
  // Freeing a model takes long enough to be felt on the JavaScript thread.
  Executor::Job free{[core = std::move(core_)](int) {}, [] {}};
  environment_->background().post(free);
}

void SessionObject::shut_down() {
  for (const auto& [token, cancellation] : calls_) cancellation->cancel();
  if (serving_) serving_->stop();
  core_->executor->stop();
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
  return run_async(
      info.Env(), *core_->executor, keep,
      [core = core_, work = std::move(work), cancellation](int thread) {
        return work(*core->pipelines[static_cast<size_t>(thread)], *cancellation);
      },
      std::move(convert), end_call(token));
}

Napi::Value SessionObject::detect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[1].IsObject()) throw Napi::TypeError::New(env, "Expected detect options");
  const DetectOptions options = to_detect_options(info[1].As<Napi::Object>());
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
  if (!info[0].IsArray() || !info[1].IsObject()) throw Napi::TypeError::New(env, "Expected images and options");
  const auto images = info[0].As<Napi::Array>();
  const HeadPoseOptions options = to_head_pose_options(info[1].As<Napi::Object>());
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
      [core = core_.get(), image](Pipeline& pipeline, Cancellation& cancellation) {
        pipeline.calibrate(image, core->statistics, cancellation);
        return true;
      },
      [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); });
}

Napi::Value SessionObject::statistics(const Napi::CallbackInfo& info) {
  return run_async(
      info.Env(), *core_->executor, info.This().As<Napi::Object>(), [core = core_](int) { return core->statistics; },
      from_statistics);
}

Napi::Value SessionObject::serve_jobs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[1].IsObject()) throw Napi::TypeError::New(env, "Expected job settings");
  const JobSettings settings = to_job_settings(info[1].As<Napi::Object>());
  serving_ = JobServerObject::server_of(info[0]);
  return run_async(
      env, *core_->executor, info.This().As<Napi::Object>(),
      [core = core_, server = serving_, settings](int thread) {
        return server->serve(*core->pipelines[static_cast<size_t>(thread)], settings);
      },
      [](Napi::Env env, bool closed) -> Napi::Value { return Napi::Boolean::New(env, closed); },
      [this] { serving_.reset(); });
}

Napi::Value SessionObject::cancel(const Napi::CallbackInfo& info) {
  const auto call = calls_.find(to_token(info[0]));
  if (call != calls_.end()) call->second->cancel();
  return info.Env().Undefined();
}

Napi::Value SessionObject::close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  core_->executor->refuse();
  if (serving_) serving_->pause();
  return run_async(
      env, environment_->background(), info.This().As<Napi::Object>(),
      [core = core_](int) {
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
