#pragma once

#include <napi.h>

#include "jobs/job_server.h"
#include "native_object.h"

namespace edge_infer {

/// `NativeJobServer` of lib/native.ts.
class JobServerObject : public NativeObject<JobServerObject, JobServer> {
 public:
  static constexpr const char* kName = "a job server";
  static constexpr const char* kMaker = "openJobServer";
  static constexpr napi_type_tag kTypeTag{0x0f6a1c58d9b14e02, 0x9b5e3a77c1d24f90};

  static void define(Napi::Env env);
  /// `openJobServer(socket, memory)`.
  static Napi::Value open(const Napi::CallbackInfo& info);
  static std::shared_ptr<JobServer> server_of(const Napi::Value& value) { return Unwrap(value)->core(); }

  using NativeObject::NativeObject;

 private:
  Napi::Value cancel(const Napi::CallbackInfo& info);
};

}  // namespace edge_infer
