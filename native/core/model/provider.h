#pragma once

#include <string>

#include "model/onnxruntime.h"

namespace edge_infer {

enum class DeviceKind { cpu, cuda, tensorrt };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
};

struct TensorRtOptions {
  bool fp16 = false;
  /// Where built engines are kept between runs; empty: they are built anew each time.
  std::string engine_cache_directory;
};

const char* provider_name(DeviceKind kind);

/// Appends the execution provider of `device` (and, for TensorRT, CUDA behind it) to the options of a session.
/// Throws PROVIDER_UNAVAILABLE, naming the providers there are, when the runtime does not have it.
void append_provider(Ort::SessionOptions& options, const Device& device, const TensorRtOptions& tensorrt);

}  // namespace edge_infer
