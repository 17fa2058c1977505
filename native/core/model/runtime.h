#pragma once

#include <string>
#include <vector>

#include "model/onnxruntime.h"

namespace edge_infer {

struct RuntimeInfo {
  std::string path;
  std::string version;
  int api_version;
  /// What the library was built to know. No promise: only asking for a provider tells whether it works.
  std::vector<std::string> providers;
};

/// Loads the ONNX Runtime library at `path` into the process, once; later calls with the same path give the same
/// answer. Runtimes older than the headers are used at the API version they have, down to 1.11. The runtime's own
/// telemetry is turned off. Throws RUNTIME_UNAVAILABLE when it cannot be loaded, is too old, or another library is
/// loaded already.
RuntimeInfo load_runtime(const std::string& path);

/// The environment every session of the process shares. Throws RUNTIME_UNAVAILABLE before load_runtime.
Ort::Env& runtime_environment();

/// The providers of the loaded runtime, by name.
std::vector<std::string> runtime_providers();

}  // namespace edge_infer
