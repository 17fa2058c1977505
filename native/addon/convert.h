#pragma once

#include <napi.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "image/annotate.h"
#include "jobs/job.h"
#include "jobs/job_protocol.h"
#include "pipeline.h"
#include "wire/request_images.h"

namespace edge_infer {

/// JavaScript values to the core's types and back. TypeScript has checked them; here a wrong type or a number out of
/// its range throws a TypeError. `what` names the value in its message.

/// "Expected a string as the path of a library but received 1 of type number".
[[noreturn]] void wrong_type(const Napi::Value& value, const std::string& expected);

/// A view of a Uint8Array, which must be kept alive by the caller.
ByteView to_bytes(const Napi::Value& value);
Napi::Object to_object(const Napi::Value& value, const std::string& what);
Napi::Array to_array(const Napi::Value& value, const std::string& what);
std::string to_text(const Napi::Value& value, const std::string& what);
double to_number(const Napi::Value& value, const std::string& what);
double to_whole_number(const Napi::Value& value, const std::string& what, double min, double max);
template <typename Integer = int>
Integer to_integer(const Napi::Value& value, const std::string& what, Integer min,
                   Integer max = std::numeric_limits<Integer>::max()) {
  return static_cast<Integer>(to_whole_number(value, what, static_cast<double>(min), static_cast<double>(max)));
}
/// A number of bytes, or an offset.
size_t to_size(const Napi::Value& value, const std::string& what, size_t min = 0);
/// The number a call is cancelled by.
int64_t to_token(const Napi::Value& value);
/// Appends the object that owns the image's bytes to `keep`.
ImageSource to_image_source(const Napi::Value& value, Napi::Array keep);
ModelOptions to_model_options(const Napi::Object& object);
DetectOptions to_detect_options(const Napi::Object& object);
HeadPoseOptions to_head_pose_options(const Napi::Object& object);
JobSettings to_job_settings(const Napi::Object& object);
std::vector<Mark> to_marks(const Napi::Value& value);

Napi::Value from_detect_result(Napi::Env env, const DetectResult& result);
Napi::Value from_head_pose_result(Napi::Env env, const HeadPoseResult& result);
Napi::Value from_tensor_infos(Napi::Env env, const std::vector<TensorInfo>& infos);
/// `TensorStatistics` of lib/native.ts, one a tensor.
Napi::Value from_statistics(Napi::Env env, const std::vector<TensorStatistics>& statistics);
/// `JobProtocol` of lib/native.ts.
Napi::Value from_job_protocol(Napi::Env env, const JobProtocol& protocol);
Napi::Value from_strings(Napi::Env env, const std::vector<std::string>& strings);
/// Moves the images' bytes out of the request.
Napi::Value from_extracted_request(Napi::Env env, ExtractedRequest& request);
/// A Buffer that owns the bytes, without a copy where the environment allows it.
Napi::Value adopt_bytes(Napi::Env env, Bytes&& bytes);
/// The same of pixels without padding.
Napi::Value adopt_pixels(Napi::Env env, cv::Mat&& pixels);
Napi::Value from_bytes(Napi::Env env, const Bytes& bytes);
/// A Buffer of the matrix's rows without padding.
Napi::Value from_pixels(Napi::Env env, const cv::Mat& pixels);

}  // namespace edge_infer
