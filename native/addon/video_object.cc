#include "video_object.h"

#include "async.h"
#include "convert.h"

namespace edge_infer {
void VideoReaderObject::define(Napi::Env env) {
  Environment::of(env).reader_constructor = Napi::Persistent(
      DefineClass(env, "NativeVideoReader",
                  {method<&VideoReaderObject::read>("read"), accessor<&VideoReaderObject::info>("info")}));
}

Napi::Value VideoReaderObject::open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = to_text(info[0], "the path of a video");
  return run_async(
      env, Environment::of(env).background(), Napi::Object::New(env),
      [path](int) { return std::make_shared<VideoReader>(path); },
      [](Napi::Env env, const std::shared_ptr<VideoReader>& reader) {
        return wrap(Environment::of(env).reader_constructor, reader);
      });
}

Napi::Value VideoReaderObject::read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return run_async(
      env, Environment::of(env).background(), info.This().As<Napi::Object>(),
      [reader = core(), order = order_, ticket = order_->draw()](int) {
        const TicketLock::Guard guard(*order, ticket);
        return reader->read();
      },
      [](Napi::Env env, const cv::Mat& frame) -> Napi::Value {
        return frame.empty() ? env.Null() : from_pixels(env, frame);
      });
}

Napi::Value VideoReaderObject::info(const Napi::CallbackInfo& call) {
  const VideoInfo& video = core()->info();
  Napi::Object object = Napi::Object::New(call.Env());
  object.Set("width", video.width);
  object.Set("height", video.height);
  object.Set("framesPerSecond", video.frames_per_second);
  object.Set("frameCount", static_cast<double>(video.frame_count));
  return object;
}

void VideoWriterObject::define(Napi::Env env) {
  Environment::of(env).writer_constructor = Napi::Persistent(
      DefineClass(env, "NativeVideoWriter",
                  {method<&VideoWriterObject::write>("write"), method<&VideoWriterObject::close>("close")}));
}

Napi::Value VideoWriterObject::open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = to_text(info[0], "the path of a video");
  VideoInfo video;
  video.width = to_integer(info[1], "a width", 1);
  video.height = to_integer(info[2], "a height", 1);
  video.frames_per_second = to_number(info[3], "frames a second");
  return run_async(
      env, Environment::of(env).background(), Napi::Object::New(env),
      [path, video](int) { return std::make_shared<VideoWriter>(path, video); },
      [](Napi::Env env, const std::shared_ptr<VideoWriter>& writer) {
        return wrap(Environment::of(env).writer_constructor, writer);
      });
}

Napi::Value VideoWriterObject::write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array keep = Napi::Array::New(env);
  keep.Set(0u, info.This());
  const ImageSource image = to_image_source(info[0], keep);
  return run_async(
      env, Environment::of(env).background(), keep,
      [writer = core(), image, order = order_, ticket = order_->draw()](int) {
        const TicketLock::Guard guard(*order, ticket);
        writer->write(read_image(image, {}).frame.pixels);
        return true;
      },
      [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); });
}

Napi::Value VideoWriterObject::close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return run_async(
      env, Environment::of(env).background(), info.This().As<Napi::Object>(),
      [writer = core(), order = order_, ticket = order_->draw()](int) {
        const TicketLock::Guard guard(*order, ticket);
        writer->close();
        return true;
      },
      [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); });
}

}  // namespace edge_infer
