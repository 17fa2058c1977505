#pragma once

/// ONNX Runtime's C++ interface without a link-time library: `runtime.h` finds and loads one.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
