#pragma once

#include <napi.h>

#include <memory>

#include "jobs/job_server.h"

namespace edge_infer {

/// `NativeJobServer` of lib/native.ts.
class JobServerObject : public Napi::ObjectWrap<JobServerObject> {
 public:
  static void define(Napi::Env env);
  /// `openJobServer(socket, memory)`.
  static Napi::Value open(const Napi::CallbackInfo& info);
  static std::shared_ptr<JobServer> server_of(const Napi::Value& value);

  explicit JobServerObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value cancel(const Napi::CallbackInfo& info);

  std::shared_ptr<JobServer> server_;
};

}  // namespace edge_infer
