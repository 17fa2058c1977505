#include "model/session.h"

#include <optional>

#include "error.h"
#include "model/runtime.h"

namespace edge_infer {
namespace {

constexpr const char* kFloat = "float32";

std::string type_name(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      return kFloat;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return "float16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
      return "float64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return "uint8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
      return "int8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return "int32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return "int64";
    default:
      return "type " + std::to_string(static_cast<int>(type));
  }
}

TensorInfo describe(const Ort::Session& session, size_t index, bool input) {
  Ort::AllocatorWithDefaultOptions allocator;
  TensorInfo info;
  info.name = input ? session.GetInputNameAllocated(index, allocator).get()
                    : session.GetOutputNameAllocated(index, allocator).get();
  const Ort::TypeInfo type = input ? session.GetInputTypeInfo(index) : session.GetOutputTypeInfo(index);
  if (type.GetONNXType() != ONNX_TYPE_TENSOR) {
    info.type = "no tensor";
    return info;
  }
  const auto tensor = type.GetTensorTypeAndShapeInfo();
  info.type = type_name(tensor.GetElementType());
  info.shape = tensor.GetShape();
  return info;
}

/// As people write sizes: width, then height; "any" for a side the model leaves open.
std::string size_text(int64_t width, int64_t height) {
  const auto side = [](int64_t value) { return value < 0 ? std::string("any") : std::to_string(value); };
  return side(width) + " x " + side(height);
}

Ort::SessionOptions session_options(const SessionOptions& options) {
  Ort::SessionOptions result;
  result.SetGraphOptimizationLevel(GraphOptimizationLevel::ORT_ENABLE_ALL);
  result.SetExecutionMode(ExecutionMode::ORT_SEQUENTIAL);
  result.SetIntraOpNumThreads(options.intra_op_threads);
  result.SetInterOpNumThreads(1);
  const char* const spinning = options.allow_spinning ? "1" : "0";
  result.AddConfigEntry("session.intra_op.allow_spinning", spinning);
  result.AddConfigEntry("session.inter_op.allow_spinning", spinning);
  return result;
}

}  // namespace

Session::Session(const std::string& model_path, const SessionOptions& options) {
  open(model_path, options);
  for (size_t i = 0; i < session_.GetInputCount(); ++i) inputs_.push_back(describe(session_, i, true));
  for (size_t i = 0; i < session_.GetOutputCount(); ++i) outputs_.push_back(describe(session_, i, false));
  resolve_input(options.input_size);
}

void Session::open(const std::string& model_path, const SessionOptions& options) {
  Ort::SessionOptions prepared = session_options(options);
  provider_ = provider_name(options.device.kind);
  try {
    append_provider(prepared, options.device, options.tensorrt);
  } catch (const Error& error) {
    if (!options.fallback_to_cpu) throw;
    warnings_.push_back(std::string("The CPU is used instead. ") + error.what());
    provider_ = provider_name(DeviceKind::cpu);
    prepared = session_options(options);
  }
  try {
    session_ = Ort::Session(runtime_environment(), model_path.c_str(), prepared);
  } catch (const Ort::Exception& exception) {
    throw Error(ErrorCode::model_load, "ONNX Runtime cannot load the model: " + std::string(exception.what()));
  }
}

void Session::resolve_input(InputSize wanted) {
  const std::string open_size =
      wanted.width > 0 ? std::to_string(wanted.height) + "x" + std::to_string(wanted.width) : std::string("HxW");
  const auto refuse = [&](const std::string& detail) {
    std::string received;
    for (const TensorInfo& input : inputs_) {
      received += (received.empty() ? "" : ", ") + input.name + " " + input.type + " " + shape_text(input.shape);
    }
    throw Error(ErrorCode::model_load,
                "The model must have one input float32 1x3x" + open_size + " but has " + received + detail);
  };
  if (inputs_.size() != 1 || inputs_[0].type != kFloat || inputs_[0].shape.size() != 4) refuse("");
  Shape& shape = inputs_[0].shape;
  const auto allows = [](int64_t side, int64_t value) { return side < 0 || side == value; };
  if (!allows(shape[0], 1) || !allows(shape[1], 3)) refuse("");
  if ((shape[2] < 0 || shape[3] < 0) && wanted.width <= 0)
    refuse("; its height and width are open: give an input size");
  if (wanted.width > 0 && (!allows(shape[2], wanted.height) || !allows(shape[3], wanted.width))) {
    throw Error(ErrorCode::bad_option, "Expected the size of the model's own input, " + size_text(shape[3], shape[2]) +
                                           ", or no input size, but received " +
                                           size_text(wanted.width, wanted.height));
  }
  if (shape[2] == 0 || shape[3] == 0) refuse("");
  takes_any_size_ = shape[2] < 0 && shape[3] < 0;
  input_size_.height = static_cast<int>(shape[2] < 0 ? wanted.height : shape[2]);
  input_size_.width = static_cast<int>(shape[3] < 0 ? wanted.width : shape[3]);
}

Execution::Execution(Session& session, float* input, InputSize size) : session_(session), binding_(session.session_) {
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const Shape shape = {1, 3, size.height, size.width};
  input_ = Ort::Value::CreateTensor<float>(memory, input, static_cast<size_t>(element_count(shape)), shape.data(),
                                           shape.size());
  binding_.BindInput(session.inputs()[0].name.c_str(), input_);
  for (const TensorInfo& output : session.outputs()) binding_.BindOutput(output.name.c_str(), memory);
  try {
    session.session_.Run(run_options_, binding_);
    bind_outputs();
  } catch (const Ort::Exception& exception) {
    throw Error(ErrorCode::model_load, "The model fails on an input of " + shape_text(shape) + ": " + exception.what());
  }
}

void Execution::bind_outputs() {
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const std::vector<Ort::Value> values = binding_.GetOutputValues();
  const auto& described = session_.outputs();
  binding_.ClearBoundOutputs();
  buffers_.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].IsTensor())
      throw Error(ErrorCode::model_load, "The model's output " + described[i].name + " is no tensor");
    const auto info = values[i].GetTensorTypeAndShapeInfo();
    outputs_.push_back({described[i].name, type_name(info.GetElementType()), info.GetShape()});
    if (outputs_[i].type != kFloat) {
      throw Error(ErrorCode::model_load,
                  "The model's output " + outputs_[i].name + " must be float32 but is " + outputs_[i].type);
    }
    const Shape& shape = outputs_[i].shape;
    buffers_.emplace_back(static_cast<size_t>(element_count(shape)));
    bound_.push_back(
        Ort::Value::CreateTensor<float>(memory, buffers_[i].data(), buffers_[i].size(), shape.data(), shape.size()));
    binding_.BindOutput(outputs_[i].name.c_str(), bound_[i]);
    views_.push_back({buffers_[i].data(), shape});
  }
}

const std::vector<TensorView>& Execution::run(Cancellation& cancellation) {
  std::optional<std::string> failure;
  {
    const Cancellation::Interruptible interruptible(cancellation, [this] { run_options_.SetTerminate(); });
    try {
      session_.session_.Run(run_options_, binding_);
    } catch (const Ort::Exception& exception) {
      failure = exception.what();
    }
  }
  // Only now can no late cancel() set the flag that would stop the next run.
  if (*cancellation.flag()) run_options_.UnsetTerminate();
  cancellation.throw_if_cancelled();
  if (failure) throw Error(ErrorCode::inference, "The runtime failed to run the model: " + *failure);
  return views_;
}

}  // namespace edge_infer
