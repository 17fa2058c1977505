#include "model/runtime.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "error.h"

namespace edge_infer {
namespace {

/// The oldest API that has every function this addon calls.
constexpr int kOldestApi = 11;

std::mutex g_mutex;
RuntimeInfo g_info;
/// Never freed: sessions on other threads may outlive any order of destruction at exit.
Ort::Env* g_environment = nullptr;

void discard_log(void*, OrtLoggingLevel, const char*, const char*, const char*, const char*) {}

[[noreturn]] void unavailable(const std::string& message) { throw Error(ErrorCode::runtime_unavailable, message); }

int minor_version(const std::string& version) {
  const size_t dot = version.find('.');
  return dot == std::string::npos ? 0 : std::atoi(version.c_str() + dot + 1);
}

}  // namespace

RuntimeInfo load_runtime(const std::string& path) {
  const std::lock_guard lock(g_mutex);
  if (g_environment) {
    if (path == g_info.path) return g_info;
    unavailable("A process loads one ONNX Runtime library: " + g_info.path + " is loaded, so " + path + " cannot be");
  }
  // Runtimes from 1.29 on report sessions and models to their maker unless told not to, on a thread that outlives
  // exit().
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* const reason = dlerror();
    unavailable("Cannot load " + path + ": " + (reason ? reason : "unknown reason"));
  }
  const auto get_base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  if (!get_base) unavailable(path + " is no ONNX Runtime library: it has no OrtGetApiBase");

  const OrtApiBase* const base = get_base();
  const std::string version = base->GetVersionString();
  const int api_version = std::min<int>(ORT_API_VERSION, minor_version(version));
  if (api_version < kOldestApi) {
    unavailable("Expected ONNX Runtime 1." + std::to_string(kOldestApi) + " or later but " + path + " is " + version);
  }
  const OrtApi* const api = base->GetApi(static_cast<uint32_t>(api_version));
  if (!api) unavailable(path + " (" + version + ") does not give its API " + std::to_string(api_version));

  Ort::InitApi(api);
  g_environment = new Ort::Env(ORT_LOGGING_LEVEL_FATAL, "edge-infer", discard_log, nullptr);
  g_environment->DisableTelemetryEvents();
  g_info = {path, version, api_version, Ort::GetAvailableProviders()};
  return g_info;
}

Ort::Env& runtime_environment() {
  const std::lock_guard lock(g_mutex);
  if (!g_environment) unavailable("The ONNX Runtime library has not been loaded");
  return *g_environment;
}

std::vector<std::string> runtime_providers() {
  const std::lock_guard lock(g_mutex);
  return g_info.providers;
}

}  // namespace edge_infer
