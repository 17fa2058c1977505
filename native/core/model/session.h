#pragma once

#include <string>
#include <vector>

#include "cancellation.h"
#include "model/onnxruntime.h"
#include "model/provider.h"
#include "model/signature.h"
#include "model/tensor.h"

namespace edge_infer {

struct InputSize {
  int width = 0;
  int height = 0;

  bool operator==(const InputSize& other) const { return width == other.width && height == other.height; }
};

struct SessionOptions {
  /// Refused where it is not the model's own; 0: the model's own.
  InputSize input_size;
  /// Of a model that leaves its height and width open, unless `input_size` says otherwise.
  InputSize default_input_size;
  Device device;
  bool fallback_to_cpu = false;
  TensorRtOptions tensorrt;
  int intra_op_threads = 1;
  bool allow_spinning = false;
};

/// A loaded model with an image input float32 1×3×H×W and the inputs of its signature. Many threads may run it at once,
/// each through its own Execution.
class Session {
 public:
  /// Throws MODEL_LOAD (a broken file; a tensor that is not as expected, with both shapes), BAD_OPTION (an input size
  /// that is not the model's), PROVIDER_UNAVAILABLE, INTERNAL (no threads).
  Session(const std::string& model_path, const SessionOptions& options, ModelSignature signature = {});

  const std::vector<TensorInfo>& inputs() const { return inputs_; }
  const std::vector<TensorInfo>& outputs() const { return outputs_; }
  /// The baked size, or the one that was asked for.
  InputSize input_size() const { return input_size_; }
  /// Whether the model leaves its height and width open.
  bool takes_any_size() const { return takes_any_size_; }
  const std::string& provider() const { return provider_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  friend class Execution;

  void open(const std::string& model_path, const SessionOptions& options);
  void resolve_inputs(InputSize wanted, InputSize otherwise);

  ModelSignature signature_;
  Ort::Session session_{nullptr};
  std::vector<TensorInfo> inputs_;
  /// Which of the inputs takes the image.
  size_t image_input_ = 0;
  std::vector<TensorInfo> outputs_;
  InputSize input_size_;
  bool takes_any_size_ = false;
  std::string provider_;
  std::vector<std::string> warnings_;
};

/// The buffers of one thread that runs a session with an input of one size. The input buffer belongs to the caller and
/// must outlive it.
class Execution {
 public:
  /// Runs the model once, to learn the shapes of its outputs and to warm it up.
  Execution(Session& session, float* input, InputSize size);

  /// Sets the inputs beside the image for the frame of the next run.
  void set_extra_inputs(const FrameGeometry& geometry);

  /// Throws INFERENCE, or ABORTED when cancelled; the views are valid until the next run.
  const std::vector<TensorView>& run(Cancellation& cancellation);

  /// The outputs with the shapes they really have.
  const std::vector<TensorInfo>& outputs() const { return outputs_; }
  /// What the last run answered.
  const std::vector<TensorView>& views() const { return views_; }

 private:
  void bind_outputs();

  Session& session_;
  Ort::RunOptions run_options_;
  Ort::IoBinding binding_;
  std::vector<Tensor> extra_inputs_;
  std::vector<Tensor> buffers_;
  std::vector<Ort::Value> input_values_;
  std::vector<Ort::Value> output_values_;
  std::vector<TensorInfo> outputs_;
  std::vector<TensorView> views_;
};

}  // namespace edge_infer
