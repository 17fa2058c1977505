#include "job_server_object.h"

#include "environment.h"

namespace edge_infer {

void JobServerObject::define(Napi::Env env) {
  Environment::of(env).job_server_constructor =
      Napi::Persistent(DefineClass(env, "NativeJobServer", {method<&JobServerObject::cancel>("cancel")}));
}

Napi::Value JobServerObject::open(const Napi::CallbackInfo& info) {
  const int socket = to_integer(info[0], "a descriptor of a socket", 0);
  const int memory = to_integer(info[1], "a descriptor of memory", 0);
  return wrap(Environment::of(info.Env()).job_server_constructor, std::make_shared<JobServer>(socket, memory));
}

Napi::Value JobServerObject::cancel(const Napi::CallbackInfo& info) {
  core()->cancel(to_integer<uint32_t>(info[0], "the id of a job", 0));
  return info.Env().Undefined();
}

}  // namespace edge_infer
