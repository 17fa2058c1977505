#pragma once

#include <napi.h>

#include <memory>

#include "native_object.h"
#include "ticket_lock.h"
#include "video.h"

namespace edge_infer {

/// `NativeVideoReader` of lib/native.ts: frames come in the order they were asked for.
class VideoReaderObject : public NativeObject<VideoReaderObject, VideoReader> {
 public:
  static constexpr const char* kName = "a video reader";
  static constexpr const char* kMaker = "openVideo";
  static constexpr napi_type_tag kTypeTag{0x3c1f0b7ae25d4b61, 0xa6d08e19f47c2b35};

  static void define(Napi::Env env);
  static Napi::Value open(const Napi::CallbackInfo& info);
  using NativeObject::NativeObject;

 private:
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value info(const Napi::CallbackInfo& info);

  std::shared_ptr<TicketLock> order_ = std::make_shared<TicketLock>();
};

/// `NativeVideoWriter` of lib/native.ts.
class VideoWriterObject : public NativeObject<VideoWriterObject, VideoWriter> {
 public:
  static constexpr const char* kName = "a video writer";
  static constexpr const char* kMaker = "createVideo";
  static constexpr napi_type_tag kTypeTag{0x71e94d20b8c34fa7, 0x8f2b6c05d31e49ad};

  static void define(Napi::Env env);
  static Napi::Value open(const Napi::CallbackInfo& info);
  using NativeObject::NativeObject;

 private:
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<TicketLock> order_ = std::make_shared<TicketLock>();
};

}  // namespace edge_infer
