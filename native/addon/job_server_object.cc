#include "job_server_object.h"

#include "async.h"
#include "convert.h"
#include "environment.h"

namespace edge_infer {

void JobServerObject::define(Napi::Env env) {
  const Napi::Function constructor =
      DefineClass(env, "NativeJobServer", {InstanceMethod<&JobServerObject::cancel>("cancel")});
  Environment::of(env).job_server_constructor = Napi::Persistent(constructor);
}

Napi::Value JobServerObject::open(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).job_server_constructor.New({info[0], info[1]});
}

std::shared_ptr<JobServer> JobServerObject::server_of(const Napi::Value& value) {
  const Napi::Env env = value.Env();
  const Napi::Function constructor = Environment::of(env).job_server_constructor.Value();
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(constructor)) {
    throw Napi::TypeError::New(env, "Expected a job server");
  }
  return Unwrap(value.As<Napi::Object>())->server_;
}

JobServerObject::JobServerObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const int socket = to_integer(info[0], "a descriptor of a socket", 0);
  const int memory = to_integer(info[1], "a descriptor of memory", 0);
  try {
    server_ = std::make_shared<JobServer>(socket, memory);
  } catch (const Error& error) {
    throw make_error(info.Env(), error.code(), error.what());
  }
}

Napi::Value JobServerObject::cancel(const Napi::CallbackInfo& info) {
  server_->cancel(static_cast<uint32_t>(to_number(info[0], "the id of a job")));
  return info.Env().Undefined();
}

}  // namespace edge_infer
