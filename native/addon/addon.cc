#include <malloc.h>
#include <napi.h>

#include <opencv2/core/version.hpp>

#include "async.h"
#include "convert.h"
#include "heads/registry.h"
#include "image/annotate.h"
#include "job_server_object.h"
#include "model/runtime.h"
#include "session_object.h"
#include "shared_memory.h"
#include "wire/bytes_literal.h"
#include "wire/request_images.h"

namespace edge_infer {
namespace {

Napi::Value versions(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("opencv", CV_VERSION);
  object.Set("onnxruntimeHeaders", ORT_API_VERSION);
  object.Set("napi", NAPI_VERSION);
  object.Set("compiler", __VERSION__);
  return object;
}

/// `errorCodes()`: the codes that errors of the addon may have.
Napi::Value error_codes(const Napi::CallbackInfo& info) {
  return from_strings(info.Env(), {std::begin(kErrorCodeNames), std::end(kErrorCodeNames)});
}

/// `families()`: `FamilyInfo` of lib/native.ts, one a row of the registry.
Napi::Value list_families(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env);
  for (const Family& family : families()) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", family.name);
    object.Set("kind", family.detects_objects() ? "detection" : "head_pose");
    object.Set("internal", family.scope == FamilyScope::internal);
    object.Set("outputs", family.outputs);
    list.Set(list.Length(), object);
  }
  return list;
}

Napi::Value load(const Napi::CallbackInfo& info) {
  const RuntimeInfo runtime = load_runtime(to_text(info[0], "the path of a library"));
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("path", runtime.path);
  object.Set("version", runtime.version);
  object.Set("apiVersion", runtime.api_version);
  object.Set("providers", from_strings(info.Env(), runtime.providers));
  return object;
}

/// `annotate(image, marks, extension, quality)`: a picture file, or raw BGR pixels for the extension "raw".
Napi::Value annotate_image(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<Mark> marks = to_marks(info[1]);
  const std::string extension = to_text(info[2], "a file name extension");
  const int quality = to_integer(info[3], "a quality", 1, 100);
  Napi::Array keep = Napi::Array::New(env);
  const ImageSource image = to_image_source(info[0], keep);
  return run_async(
      env, Environment::of(env).background(), keep,
      [image, marks, extension, quality](int) -> Bytes {
        const cv::Mat canvas = annotate(read_image(image, {}).frame.pixels, marks);
        if (extension != "raw") return encode_image(canvas, extension, quality);
        return Bytes(canvas.datastart, canvas.dataend);
      },
      [](Napi::Env env, const Bytes& bytes) { return from_bytes(env, bytes); });
}

/// `extractImages(body)`: the images of a JSON request, and the rest of its members.
Napi::Value extract(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const ByteView body = to_bytes(info[0]);
  Napi::Array keep = Napi::Array::New(env);
  keep.Set(0u, info[0]);
  return run_async(
      env, Environment::of(env).background(), keep, [body](int) { return extract_images(body); },
      from_extracted_request);
}

/// `encodeBytesLiteral(bytes)`: Python's `str(bytes)`.
Napi::Value encode_literal(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), encode_bytes_literal(to_bytes(info[0])));
}

/// `reclaim(bytes)`: frees the memory of a buffer at once. One that shares its memory with others is left alone.
Napi::Value reclaim(const Napi::CallbackInfo& info) {
  to_bytes(info[0]);
  const auto view = info[0].As<Napi::Uint8Array>();
  Napi::ArrayBuffer memory = view.ArrayBuffer();
  if (view.ByteLength() == memory.ByteLength()) memory.Detach();
  return info.Env().Undefined();
}

/// `mapLargeBlocks()`: has the C library map each block from 4 MiB on by itself, so that it goes back to the system
/// when it is freed. Left alone the library keeps blocks of up to 32 MiB for each of its arenas.
Napi::Value map_large_blocks(const Napi::CallbackInfo& info) {
#ifdef M_MMAP_THRESHOLD
  constexpr int kLargeBytes = 4 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargeBytes);
  mallopt(M_TRIM_THRESHOLD, 2 * kLargeBytes);
#endif
  return info.Env().Undefined();
}

/// `jobProtocol()`: how jobs and their answers are written.
Napi::Value describe_job_protocol(const Napi::CallbackInfo& info) {
  return from_job_protocol(info.Env(), job_protocol());
}

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
napi_value call(napi_env env, napi_callback_info raw) noexcept {
  return run_callback(env, [&]() -> napi_value { return function(Napi::CallbackInfo(env, raw)); });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment(env));
  SessionObject::define(env);
  JobServerObject::define(env);
  const std::pair<const char*, napi_callback> functions[] = {
      {"versions", call<versions>},
      {"families", call<list_families>},
      {"errorCodes", call<error_codes>},
      {"loadRuntime", call<load>},
      {"createSession", call<SessionObject::create>},
      {"annotate", call<annotate_image>},
      {"extractImages", call<extract>},
      {"encodeBytesLiteral", call<encode_literal>},
      {"reclaim", call<reclaim>},
      {"mapLargeBlocks", call<map_large_blocks>},
      {"createSharedMemory", call<create_shared_memory>},
      {"releaseSharedPages", call<release_shared_pages>},
      {"jobProtocol", call<describe_job_protocol>},
      {"openJobServer", call<JobServerObject::open>},
  };
  for (const auto& [name, function] : functions) {
    napi_value value = nullptr;
    NAPI_THROW_IF_FAILED(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value), exports);
    exports.Set(name, value);
  }
  return exports;
}

}  // namespace
}  // namespace edge_infer

static Napi::Object initialize_addon(Napi::Env env, Napi::Object exports) {
  try {
    return edge_infer::initialize(env, exports);
  } catch (...) {
    throw edge_infer::current_js_error(env);
  }
}

NODE_API_MODULE(edge_infer, initialize_addon)
