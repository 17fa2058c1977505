#include "convert.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "error.h"

namespace edge_infer {
namespace {

/// Beyond this, whole numbers are not exact in JavaScript.
constexpr double kMaxSafeInteger = 9007199254740991;

std::string received(const Napi::Value& value) {
  if (value.IsUndefined()) return "undefined";
  if (value.IsNull()) return "null";
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value() ? "true" : "false";
  if (value.IsNumber()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.15g", value.As<Napi::Number>().DoubleValue());
    return std::string(text) + " of type number";
  }
  if (value.IsString()) {
    const std::string text = value.As<Napi::String>().Utf8Value();
    return (text.size() > 60 ? "a long text" : '"' + text + '"') + " of type string";
  }
  return value.IsFunction() ? "a function"
         : value.IsArray()  ? "a list"
         : value.IsObject() ? "an object"
                            : "another value";
}

std::string text(const Napi::Object& object, const char* key) { return to_text(object.Get(key), key); }
double number(const Napi::Object& object, const char* key) { return to_number(object.Get(key), key); }
int integer(const Napi::Object& object, const char* key, int min = INT32_MIN, int max = INT32_MAX) {
  return to_integer(object.Get(key), key, min, max);
}

/// False when it is absent.
bool flag(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (value.IsUndefined()) return false;
  if (!value.IsBoolean()) wrong_type(value, std::string("true or false as ") + key);
  return value.As<Napi::Boolean>().Value();
}

/// Beyond this, crops hold nothing but borders.
double margin(const Napi::Object& object) {
  const Napi::Value value = object.Get("margin");
  const double margin = to_number(value, "margin");
  if (!(margin >= 0 && margin <= 10)) wrong_type(value, "a number from 0 to 10 as margin");
  return margin;
}

bool present(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return !value.IsUndefined() && !value.IsNull();
}

Napi::Object member(const Napi::Object& object, const char* key) { return to_object(object.Get(key), key); }

/// One of the named values of an enumeration.
template <typename Value, size_t Count>
Value choice(const Napi::Object& object, const char* key, const std::pair<const char*, Value> (&choices)[Count]) {
  const Napi::Value value = object.Get(key);
  const std::string name = to_text(value, key);
  std::string known;
  for (const auto& [known_name, choice] : choices) {
    if (name == known_name) return choice;
    known += (known.empty() ? "" : ", ") + std::string(known_name);
  }
  wrong_type(value, "one of " + known + " as " + key);
}

constexpr std::pair<const char*, ChannelOrder> kChannelOrders[] = {{"rgb", ChannelOrder::rgb},
                                                                   {"bgr", ChannelOrder::bgr}};
constexpr std::pair<const char*, ResizeMode> kResizeModes[] = {{"stretch", ResizeMode::stretch},
                                                               {"letterbox-center", ResizeMode::letterbox_center},
                                                               {"letterbox-top-left", ResizeMode::letterbox_top_left}};
constexpr std::pair<const char*, DeviceKind> kDeviceKinds[] = {
    {"cpu", DeviceKind::cpu}, {"cuda", DeviceKind::cuda}, {"tensorrt", DeviceKind::tensorrt}};
constexpr std::pair<const char*, ImageSource::Kind> kImageKinds[] = {
    {"encoded", ImageSource::Kind::encoded}, {"raw", ImageSource::Kind::raw}, {"json", ImageSource::Kind::json}};

void to_channels(const Napi::Value& value, float (&out)[3]) {
  const Napi::Array array = to_array(value, "three numbers");
  for (uint32_t i = 0; i < 3; ++i) out[i] = static_cast<float>(to_number(array.Get(i), "a channel's value"));
}

Preprocessing to_preprocessing(const Napi::Object& object) {
  Preprocessing result;
  result.resize = choice(object, "resize", kResizeModes);
  result.channel_order = choice(object, "channelOrder", kChannelOrders);
  to_channels(object.Get("mean"), result.mean);
  to_channels(object.Get("scale"), result.scale);
  result.pad = static_cast<float>(number(object, "pad"));
  return result;
}

Device to_device(const Napi::Object& object) {
  return {choice(object, "kind", kDeviceKinds), integer(object, "index", 0)};
}

std::vector<Box> to_boxes(const Napi::Value& value) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    wrong_type(value, "boxes as a Float64Array");
  }
  const auto numbers = value.As<Napi::Float64Array>();
  if (numbers.ElementLength() % 4 != 0) wrong_type(value, "four numbers a box");
  std::vector<Box> boxes;
  for (size_t i = 0; i < numbers.ElementLength(); i += 4) {
    boxes.push_back({numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]});
  }
  return boxes;
}

DetectionLimits to_limits(const Napi::Object& object) {
  DetectionLimits limits;
  limits.score_threshold = static_cast<float>(number(object, "scoreThreshold"));
  limits.iou_threshold = static_cast<float>(number(object, "iouThreshold"));
  limits.max_detections = integer(object, "maxDetections", 0);
  if (present(object, "classes")) {
    const Napi::Array classes = to_array(object.Get("classes"), "class ids");
    for (uint32_t i = 0; i < classes.Length(); ++i) {
      limits.classes.push_back(to_integer(classes.Get(i), "a class id", 0));
    }
    std::sort(limits.classes.begin(), limits.classes.end());
  }
  return limits;
}

DetectOptions::Crops to_crops(const Napi::Object& object) {
  return {margin(object), integer(object, "quality", 1, 100)};
}

Napi::Value from_timings(Napi::Env env, const StageTimings& timings) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("decode", timings.decode);
  object.Set("preprocess", timings.preprocess);
  object.Set("inference", timings.inference);
  object.Set("postprocess", timings.postprocess);
  object.Set("encode", timings.encode);
  return object;
}

}  // namespace

void wrong_type(const Napi::Value& value, const std::string& expected) {
  throw Napi::TypeError::New(value.Env(), "Expected " + expected + " but received " + received(value));
}

Napi::Object to_object(const Napi::Value& value, const std::string& what) {
  if (!value.IsObject()) wrong_type(value, "an object as " + what);
  return value.As<Napi::Object>();
}

Napi::Array to_array(const Napi::Value& value, const std::string& what) {
  if (!value.IsArray()) wrong_type(value, "an array as " + what);
  return value.As<Napi::Array>();
}

ByteView to_bytes(const Napi::Value& value) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    wrong_type(value, "a Uint8Array");
  }
  const auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

std::string to_text(const Napi::Value& value, const std::string& what) {
  if (!value.IsString()) wrong_type(value, "a string as " + what);
  return value.As<Napi::String>().Utf8Value();
}

double to_number(const Napi::Value& value, const std::string& what) {
  if (!value.IsNumber()) wrong_type(value, "a number as " + what);
  return value.As<Napi::Number>().DoubleValue();
}

double to_whole_number(const Napi::Value& value, const std::string& what, double min, double max) {
  const double number = to_number(value, what);
  if (!(number >= min && number <= max) || number != std::floor(number)) {
    char range[64];
    std::snprintf(range, sizeof range, "a whole number from %.0f to %.0f as ", min, max);
    wrong_type(value, range + what);
  }
  return number;
}

size_t to_size(const Napi::Value& value, const std::string& what, size_t min) {
  return static_cast<size_t>(to_whole_number(value, what, static_cast<double>(min), kMaxSafeInteger));
}

int64_t to_token(const Napi::Value& value) {
  to_number(value, "a token");
  return value.As<Napi::Number>().Int64Value();
}

ImageSource to_image_source(const Napi::Value& value, Napi::Array keep) {
  const Napi::Object object = to_object(value, "an image");
  ImageSource source;
  source.kind = choice(object, "kind", kImageKinds);
  if (source.kind == ImageSource::Kind::raw) {
    source.width = integer(object, "width");
    source.height = integer(object, "height");
    source.channels = integer(object, "channels");
    source.order = choice(object, "order", kChannelOrders);
  } else {
    source.auto_orient = flag(object, "autoOrient");
  }
  const Napi::Value data = object.Get("data");
  source.data = to_bytes(data);
  keep.Set(keep.Length(), data);
  return source;
}

ModelOptions to_model_options(const Napi::Object& object) {
  ModelOptions options;
  const Napi::Array paths = to_array(object.Get("modelPaths"), "model paths");
  for (uint32_t i = 0; i < paths.Length(); ++i) options.model_paths.push_back(to_text(paths.Get(i), "a model path"));
  options.family = text(object, "family");
  options.preprocessing = to_preprocessing(member(object, "preprocessing"));
  if (present(object, "classCount")) options.class_count = integer(object, "classCount", 1);
  if (present(object, "boxesDecoded")) options.boxes_decoded = flag(object, "boxesDecoded");
  if (present(object, "inputSize")) {
    const Napi::Object size = member(object, "inputSize");
    options.session.input_size = {integer(size, "width", 1), integer(size, "height", 1)};
  }
  if (present(object, "defaultInputSize")) {
    const Napi::Object size = member(object, "defaultInputSize");
    options.session.default_input_size = {integer(size, "width", 1), integer(size, "height", 1)};
  }
  if (present(object, "rectangular")) options.rectangular = flag(object, "rectangular");
  options.calibration = flag(object, "calibration");
  options.session.device = to_device(member(object, "device"));
  options.session.fallback_to_cpu = flag(object, "fallbackToCpu");
  options.session.intra_op_threads = integer(object, "intraOpThreads", 1);
  options.session.allow_spinning = flag(object, "allowSpinning");
  if (present(object, "tensorrt")) {
    const Napi::Object tensorrt = member(object, "tensorrt");
    options.session.tensorrt.fp16 = flag(tensorrt, "fp16");
    if (present(tensorrt, "engineCacheDirectory")) {
      options.session.tensorrt.engine_cache_directory = text(tensorrt, "engineCacheDirectory");
    }
  }
  return options;
}

DetectOptions to_detect_options(const Napi::Object& object) {
  DetectOptions options;
  options.limits = to_limits(object);
  if (present(object, "crops")) options.crops = to_crops(member(object, "crops"));
  options.full_decode = flag(object, "fullDecode");
  return options;
}

HeadPoseOptions to_head_pose_options(const Napi::Object& object) {
  HeadPoseOptions options;
  options.margin = margin(object);
  if (present(object, "boxes")) options.boxes = to_boxes(object.Get("boxes"));
  return options;
}

JobSettings to_job_settings(const Napi::Object& object) {
  JobSettings settings;
  if (present(object, "detection")) {
    const Napi::Object detection = member(object, "detection");
    settings.limits = to_limits(detection);
    settings.crops = to_crops(member(detection, "crops"));
  }
  if (present(object, "faceMargin")) settings.face_margin = number(object, "faceMargin");
  const Napi::Array labels = to_array(object.Get("labels"), "labels");
  for (uint32_t i = 0; i < labels.Length(); ++i) settings.labels.push_back(to_text(labels.Get(i), "a label"));
  return settings;
}

std::vector<Mark> to_marks(const Napi::Value& value) {
  const Napi::Array array = to_array(value, "marks");
  std::vector<Mark> marks;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Object object = to_object(array.Get(i), "a mark");
    const Napi::Array box = to_array(object.Get("box"), "a mark's box");
    const auto side = [&](uint32_t index) { return to_number(box.Get(index), "a side of a box"); };
    Mark mark;
    mark.box = {side(0), side(1), side(2), side(3)};
    mark.label = present(object, "label") ? text(object, "label") : "";
    mark.class_id = present(object, "classId") ? integer(object, "classId") : 0;
    if (present(object, "pose")) {
      const Napi::Array pose = to_array(object.Get("pose"), "a mark's pose");
      const auto angle = [&](uint32_t index) { return static_cast<float>(to_number(pose.Get(index), "an angle")); };
      mark.pose = HeadPose{angle(0), angle(1), angle(2)};
    }
    marks.push_back(std::move(mark));
  }
  return marks;
}

Napi::Value from_detect_result(Napi::Env env, const DetectResult& result) {
  const size_t count = result.detections.size();
  auto boxes = Napi::Float32Array::New(env, count * 4);
  auto scores = Napi::Float32Array::New(env, count);
  auto class_ids = Napi::Int32Array::New(env, count);
  for (size_t i = 0; i < count; ++i) {
    const Detection& detection = result.detections[i];
    boxes[4 * i] = detection.x1;
    boxes[4 * i + 1] = detection.y1;
    boxes[4 * i + 2] = detection.x2;
    boxes[4 * i + 3] = detection.y2;
    scores[i] = detection.score;
    class_ids[i] = detection.class_id;
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("width", result.width);
  object.Set("height", result.height);
  object.Set("encoding", image_encoding_name(result.encoding));
  object.Set("boxes", boxes);
  object.Set("scores", scores);
  object.Set("classIds", class_ids);
  if (result.crops) {
    Napi::Array crops = Napi::Array::New(env, result.crops->size());
    for (size_t i = 0; i < result.crops->size(); ++i) {
      crops.Set(static_cast<uint32_t>(i), from_bytes(env, (*result.crops)[i]));
    }
    object.Set("crops", crops);
  }
  object.Set("timings", from_timings(env, result.timings));
  return object;
}

Napi::Value from_head_pose_result(Napi::Env env, const HeadPoseResult& result) {
  auto angles = Napi::Float32Array::New(env, result.poses.size() * 3);
  for (size_t i = 0; i < result.poses.size(); ++i) {
    angles[3 * i] = result.poses[i].yaw;
    angles[3 * i + 1] = result.poses[i].pitch;
    angles[3 * i + 2] = result.poses[i].roll;
  }
  auto sizes = Napi::Int32Array::New(env, result.sizes.size() * 2);
  for (size_t i = 0; i < result.sizes.size(); ++i) {
    sizes[2 * i] = result.sizes[i].width;
    sizes[2 * i + 1] = result.sizes[i].height;
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("sizes", sizes);
  object.Set("encoding", image_encoding_name(result.encoding));
  object.Set("angles", angles);
  object.Set("timings", from_timings(env, result.timings));
  return object;
}

Napi::Value from_tensor_infos(Napi::Env env, const std::vector<TensorInfo>& infos) {
  Napi::Array array = Napi::Array::New(env, infos.size());
  for (size_t i = 0; i < infos.size(); ++i) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", infos[i].name);
    object.Set("type", infos[i].type);
    Napi::Array shape = Napi::Array::New(env, infos[i].shape.size());
    for (size_t k = 0; k < infos[i].shape.size(); ++k) {
      shape.Set(static_cast<uint32_t>(k), static_cast<double>(infos[i].shape[k]));
    }
    object.Set("shape", shape);
    array.Set(static_cast<uint32_t>(i), object);
  }
  return array;
}

Napi::Value from_statistics(Napi::Env env, const std::vector<TensorStatistics>& statistics) {
  Napi::Array array = Napi::Array::New(env, statistics.size());
  for (size_t i = 0; i < statistics.size(); ++i) {
    const std::vector<uint64_t>& counts = statistics[i].histogram();
    Napi::Float64Array histogram = Napi::Float64Array::New(env, counts.size());
    std::copy(counts.begin(), counts.end(), histogram.Data());
    Napi::Object object = Napi::Object::New(env);
    object.Set("min", statistics[i].min());
    object.Set("max", statistics[i].max());
    object.Set("range", statistics[i].range());
    object.Set("histogram", histogram);
    array.Set(static_cast<uint32_t>(i), object);
  }
  return array;
}

Napi::Value from_strings(Napi::Env env, const std::vector<std::string>& strings) {
  Napi::Array array = Napi::Array::New(env, strings.size());
  for (size_t i = 0; i < strings.size(); ++i) array.Set(static_cast<uint32_t>(i), strings[i]);
  return array;
}

Napi::Value from_job_protocol(Napi::Env env, const JobProtocol& protocol) {
  Napi::Object records = Napi::Object::New(env);
  for (const auto& [name, fields] : protocol.records) records.Set(name, from_strings(env, fields));
  Napi::Object flags = Napi::Object::New(env);
  for (const auto& [name, bit] : protocol.flags) flags.Set(name, bit);
  Napi::Object object = Napi::Object::New(env);
  object.Set("version", protocol.version);
  object.Set("records", records);
  object.Set("flags", flags);
  object.Set("imageKinds", from_strings(env, protocol.image_kinds));
  object.Set("channelOrders", from_strings(env, protocol.channel_orders));
  return object;
}

Napi::Value from_extracted_request(Napi::Env env, ExtractedRequest& request) {
  Napi::Array images = Napi::Array::New(env, request.images.size());
  for (size_t i = 0; i < request.images.size(); ++i) {
    ExtractedImage& extracted = request.images[i];
    Napi::Object image = Napi::Object::New(env);
    if (extracted.encoding == ImageEncoding::nested_list) {
      image.Set("kind", "raw");
      image.Set("width", extracted.pixels.cols);
      image.Set("height", extracted.pixels.rows);
      image.Set("channels", 3);
      image.Set("order", "bgr");
      image.Set("data", adopt_pixels(env, std::move(extracted.pixels)));
    } else {
      image.Set("kind", "encoded");
      image.Set("data", adopt_bytes(env, std::move(extracted.data)));
    }
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("key", extracted.key);
    entry.Set("encoding", image_encoding_name(extracted.encoding));
    entry.Set("image", image);
    images.Set(static_cast<uint32_t>(i), entry);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("rest", request.rest);
  object.Set("images", images);
  object.Set("lists", from_strings(env, request.lists));
  return object;
}

template <typename Owner>
static Napi::Value adopt(Napi::Env env, std::unique_ptr<Owner> owner, uint8_t* data, size_t size) {
  const auto buffer = Napi::Buffer<uint8_t>::NewOrCopy(
      env, data, size, [](Napi::Env, uint8_t*, Owner* held) { delete held; }, owner.get());
  (void)owner.release();
  return buffer;
}

Napi::Value adopt_bytes(Napi::Env env, Bytes&& bytes) {
  auto owner = std::make_unique<Bytes>(std::move(bytes));
  uint8_t* const data = owner->data();
  const size_t size = owner->size();
  return adopt(env, std::move(owner), data, size);
}

Napi::Value adopt_pixels(Napi::Env env, cv::Mat&& pixels) {
  uint8_t* const data = pixels.data;
  const size_t size = pixels.total() * pixels.elemSize();
  return adopt(env, std::make_unique<cv::Mat>(std::move(pixels)), data, size);
}

Napi::Value from_bytes(Napi::Env env, const Bytes& bytes) {
  return Napi::Buffer<uint8_t>::Copy(env, bytes.data(), bytes.size());
}

Napi::Value from_pixels(Napi::Env env, const cv::Mat& pixels) {
  const size_t row = static_cast<size_t>(pixels.cols) * pixels.elemSize();
  auto buffer = Napi::Buffer<uint8_t>::New(env, row * pixels.rows);
  for (int y = 0; y < pixels.rows; ++y) std::memcpy(buffer.Data() + row * y, pixels.ptr(y), row);
  return buffer;
}

}  // namespace edge_infer
