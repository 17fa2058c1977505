#include "model/provider.h"

#include <memory>
#include <vector>

#include "error.h"
#include "model/runtime.h"

namespace edge_infer {
namespace {

template <typename Options>
using Owned = std::unique_ptr<Options, void (*)(Options*)>;

void append_cuda(Ort::SessionOptions& options, int index) {
  OrtCUDAProviderOptionsV2* created = nullptr;
  Ort::ThrowOnError(Ort::GetApi().CreateCUDAProviderOptions(&created));
  const Owned<OrtCUDAProviderOptionsV2> cuda(created, Ort::GetApi().ReleaseCUDAProviderOptions);
  const std::string device = std::to_string(index);
  const std::vector<const char*> keys = {"device_id"};
  const std::vector<const char*> values = {device.c_str()};
  Ort::ThrowOnError(Ort::GetApi().UpdateCUDAProviderOptions(cuda.get(), keys.data(), values.data(), keys.size()));
  options.AppendExecutionProvider_CUDA_V2(*cuda);
}

void append_tensorrt(Ort::SessionOptions& options, int index, const TensorRtOptions& settings) {
  OrtTensorRTProviderOptionsV2* created = nullptr;
  Ort::ThrowOnError(Ort::GetApi().CreateTensorRTProviderOptions(&created));
  const Owned<OrtTensorRTProviderOptionsV2> tensorrt(created, Ort::GetApi().ReleaseTensorRTProviderOptions);
  const std::string device = std::to_string(index);
  std::vector<const char*> keys = {"device_id", "trt_fp16_enable"};
  std::vector<const char*> values = {device.c_str(), settings.fp16 ? "1" : "0"};
  if (!settings.engine_cache_directory.empty()) {
    keys.insert(keys.end(), {"trt_engine_cache_enable", "trt_engine_cache_path"});
    values.insert(values.end(), {"1", settings.engine_cache_directory.c_str()});
  }
  Ort::ThrowOnError(
      Ort::GetApi().UpdateTensorRTProviderOptions(tensorrt.get(), keys.data(), values.data(), keys.size()));
  options.AppendExecutionProvider_TensorRT_V2(*tensorrt);
}

std::string available() {
  std::string names;
  for (const std::string& name : runtime_providers()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace

const char* provider_name(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return "CPUExecutionProvider";
    case DeviceKind::cuda:
      return "CUDAExecutionProvider";
    case DeviceKind::tensorrt:
      return "TensorrtExecutionProvider";
  }
  return "";
}

void append_provider(Ort::SessionOptions& options, const Device& device, const TensorRtOptions& tensorrt) {
  if (device.kind == DeviceKind::cpu) return;
  try {
    if (device.kind == DeviceKind::tensorrt) append_tensorrt(options, device.index, tensorrt);
    append_cuda(options, device.index);
  } catch (const Ort::Exception& exception) {
    throw Error(ErrorCode::provider_unavailable,
                std::string("The loaded ONNX Runtime cannot give the ") + provider_name(device.kind) + " (it lists " +
                    available() + "; listing one is no promise that its libraries are there): " + exception.what());
  }
}

}  // namespace edge_infer
