/// The baseline of `edge-infer bench`: cv::imdecode of the whole frame and `session.run`, with nothing around them. It
/// shares no code with the core, so that a mistake there cannot hide here.
///
///     edge_infer_baseline library=… model=… [model=…] image=… threads=1 [spinning=0] [runs=1]
///                      [width=640 height=640] [arena=1] [memory_pattern=1] [optimisation=all|extended|basic|off]
///
/// Prints one line of JSON when ready, then one for each line it reads: the milliseconds of one frame.

#include <dlfcn.h>

#include <algorithm>
#include <opencv2/core/version.hpp>
#include <opencv2/imgproc.hpp>

#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>

#include "program.h"

namespace {

using bench::Arguments;
using bench::Clock;

std::string load_runtime(const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  const auto get_base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  if (!get_base) throw std::runtime_error(path + " is no ONNX Runtime library");
  const std::string version = get_base()->GetVersionString();
  const int minor = std::atoi(version.c_str() + version.find('.') + 1);
  Ort::InitApi(get_base()->GetApi(static_cast<uint32_t>(std::min<int>(ORT_API_VERSION, minor))));
  return version;
}

GraphOptimizationLevel optimisation(const std::string& name) {
  if (name == "off") return GraphOptimizationLevel::ORT_DISABLE_ALL;
  if (name == "basic") return GraphOptimizationLevel::ORT_ENABLE_BASIC;
  if (name == "extended") return GraphOptimizationLevel::ORT_ENABLE_EXTENDED;
  return GraphOptimizationLevel::ORT_ENABLE_ALL;
}

Ort::SessionOptions session_options(const Arguments& arguments) {
  Ort::SessionOptions options;
  options.SetGraphOptimizationLevel(optimisation(arguments.text("optimisation", "all")));
  options.SetExecutionMode(ExecutionMode::ORT_SEQUENTIAL);
  options.SetIntraOpNumThreads(arguments.whole("threads", "1"));
  options.SetInterOpNumThreads(1);
  if (!arguments.whole("arena", "1")) options.DisableCpuMemArena();
  if (!arguments.whole("memory_pattern", "1")) options.DisableMemPattern();
  const std::string spinning = arguments.text("spinning", "0");
  options.AddConfigEntry("session.intra_op.allow_spinning", spinning.c_str());
  options.AddConfigEntry("session.inter_op.allow_spinning", spinning.c_str());
  return options;
}

/// A session with its input filled from the picture and its outputs allocated.
class Runner {
 public:
  Runner(Ort::Env& environment, const std::string& model, const Arguments& arguments, const cv::Mat& frame)
      : session_(environment, model.c_str(), session_options(arguments)) {
    Ort::AllocatorWithDefaultOptions allocator;
    names_.push_back(session_.GetInputNameAllocated(0, allocator).get());
    for (size_t i = 0; i < session_.GetOutputCount(); ++i) {
      names_.push_back(session_.GetOutputNameAllocated(i, allocator).get());
    }
    for (const std::string& name : names_) pointers_.push_back(name.c_str());
    std::vector<int64_t> shape = session_.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
    if (shape[0] < 0) shape[0] = 1;
    if (shape[2] < 0) shape[2] = arguments.whole("height", "640");
    if (shape[3] < 0) shape[3] = arguments.whole("width", "640");
    fill(frame, static_cast<int>(shape[3]), static_cast<int>(shape[2]));
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    input_ = Ort::Value::CreateTensor<float>(memory, pixels_.data(), pixels_.size(), shape.data(), shape.size());
    outputs_ = session_.Run(Ort::RunOptions{nullptr}, pointers_.data(), &input_, 1, pointers_.data() + 1,
                            pointers_.size() - 1);
  }

  void run() {
    session_.Run(run_options_, pointers_.data(), &input_, 1, pointers_.data() + 1, outputs_.data(), outputs_.size());
  }

 private:
  void fill(const cv::Mat& frame, int width, int height) {
    cv::Mat scaled, values;
    cv::resize(frame, scaled, cv::Size(width, height));
    scaled.convertTo(values, CV_32FC3, 1.0 / 255);
    const size_t plane = static_cast<size_t>(width) * height;
    pixels_.resize(3 * plane);
    std::vector<cv::Mat> planes;
    for (int i = 0; i < 3; ++i) planes.emplace_back(height, width, CV_32FC1, pixels_.data() + i * plane);
    cv::split(values, planes);
  }

  Ort::Session session_;
  Ort::RunOptions run_options_;
  std::vector<std::string> names_;
  std::vector<const char*> pointers_;
  std::vector<float> pixels_;
  Ort::Value input_{nullptr};
  std::vector<Ort::Value> outputs_;
};

void serve(const Arguments& arguments) {
  const std::string version = load_runtime(arguments.text("library"));
  cv::setNumThreads(1);
  const bench::Picture picture(arguments.text("image"));
  const cv::Mat frame = picture.decode();
  Ort::Env environment(ORT_LOGGING_LEVEL_FATAL, "baseline");
  std::vector<Runner> runners;
  for (const std::string& model : arguments.all("model")) runners.emplace_back(environment, model, arguments, frame);
  const int runs = arguments.whole("runs", "1");
  bench::converse("{\"ready\": true, \"onnxruntime\": \"" + version + "\", \"opencv\": \"" CV_VERSION "\"}",
                  [&](const std::string&) {
                    const auto begin = Clock::now();
                    const cv::Mat kept = picture.decode();
                    const auto decoded = Clock::now();
                    for (int i = 0; i < runs; ++i) {
                      for (Runner& runner : runners) runner.run();
                    }
                    const auto end = Clock::now();
                    return bench::times({{"total", bench::milliseconds(begin, end)},
                                         {"decode", bench::milliseconds(begin, decoded)},
                                         {"inference", bench::milliseconds(decoded, end)}});
                  });
}

}  // namespace

int main(int count, char** values) { return bench::run(count, values, serve); }
