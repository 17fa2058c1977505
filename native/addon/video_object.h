#pragma once

#include <napi.h>

#include <memory>

#include "environment.h"
#include "turns.h"
#include "video.h"

namespace edge_infer {

/// `NativeVideoReader` of lib/native.ts: frames come in the order they were asked for.
class VideoReaderObject : public Napi::ObjectWrap<VideoReaderObject> {
 public:
  static void define(Napi::Env env);
  static Napi::Value open(const Napi::CallbackInfo& info);
  explicit VideoReaderObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value info(const Napi::CallbackInfo& info);

  std::shared_ptr<VideoReader> reader_;
  std::shared_ptr<Turns> turns_ = std::make_shared<Turns>();
};

/// `NativeVideoWriter` of lib/native.ts.
class VideoWriterObject : public Napi::ObjectWrap<VideoWriterObject> {
 public:
  static void define(Napi::Env env);
  static Napi::Value open(const Napi::CallbackInfo& info);
  explicit VideoWriterObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<VideoWriter> writer_;
  std::shared_ptr<Turns> turns_ = std::make_shared<Turns>();
};

}  // namespace edge_infer
