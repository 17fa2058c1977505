#include "model/session.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "error.h"
#include "model/ready_threads.h"
#include "model/runtime.h"

namespace edge_infer {
namespace {

std::string type_name(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      return name_of(ElementType::float32);
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return name_of(ElementType::int32);
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return name_of(ElementType::int64);
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return "float16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
      return "float64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return "uint8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
      return "int8";
    default:
      return "type " + std::to_string(static_cast<int>(type));
  }
}

ONNXTensorElementDataType onnx_type(ElementType type) {
  switch (type) {
    case ElementType::int32:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    case ElementType::int64:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    default:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
}

/// The runtime's view of a tensor, which must outlive it.
Ort::Value value_of(Tensor& tensor) {
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  return Ort::Value::CreateTensor(memory, tensor.data(), tensor.byte_count(), tensor.shape().data(),
                                  tensor.shape().size(), onnx_type(tensor.type()));
}

bool allows(int64_t side, int64_t value) { return side < 0 || side == value; }

bool allows(const TensorInfo& info, const ExtraInput& input) {
  return info.type == name_of(input.type) &&
         std::equal(info.shape.begin(), info.shape.end(), input.shape.begin(), input.shape.end(),
                    [](int64_t side, int64_t value) { return allows(side, value); });
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

/// The remedy for a refusal of ONNX Runtime, found by its words.
std::string remedy(std::string_view refusal) {
  static const std::pair<const char*, const char*> kRemedies[] = {
      {"IR version",
       "Export it for an older version of ONNX (IR version 8, operator set 17), or use a newer ONNX Runtime"},
      {"opset", "Export it with operator set 17 or an earlier one, or use a newer ONNX Runtime"},
      {"NOT_IMPLEMENTED",
       "This ONNX Runtime lacks an operator for these types of numbers: export the model in float32, or quantised "
       "another "
       "way"},
      {"is not a registered function/op",
       "Export it with ONNX's own operators, or name an ONNX Runtime that has this one"},
      {"xternal data", "Its weights lie in a file of their own: put that beside the model, too"},
  };
  for (const auto& [words, text] : kRemedies) {
    if (refusal.find(words) != std::string_view::npos) return std::string(". ") + text;
  }
  return "";
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

Session::Session(const std::string& model_path, const SessionOptions& options, ModelSignature signature)
    : signature_(std::move(signature)) {
  open(model_path, options);
  for (size_t i = 0; i < session_.GetInputCount(); ++i) inputs_.push_back(describe(session_, i, true));
  for (size_t i = 0; i < session_.GetOutputCount(); ++i) outputs_.push_back(describe(session_, i, false));
  resolve_inputs(options.input_size, options.default_input_size);
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
  // The thread that runs the session is the first.
  ReadyThreads threads(options.intra_op_threads - 1);
  threads.serve(prepared);
  try {
    session_ = Ort::Session(runtime_environment(), model_path.c_str(), prepared);
  } catch (const Ort::Exception& exception) {
    std::string reason = exception.what();
    // The model is not to blame.
    if (reason.find("std::bad_alloc") != std::string::npos) throw std::bad_alloc();
    while (!reason.empty() && (reason.back() == '\n' || reason.back() == '.')) reason.pop_back();
    throw Error(ErrorCode::model_load,
                "ONNX Runtime cannot load the model " + model_path + ": " + reason + remedy(reason));
  }
}

void Session::resolve_inputs(InputSize wanted, InputSize otherwise) {
  const std::vector<ExtraInput>& extra_inputs = signature_.extra_inputs;
  const auto refuse = [&](const std::string& detail) {
    const bool known = wanted.width > 0;
    std::string expected = extra_inputs.empty() ? "one input float32 1x3x" : "the inputs float32 1x3x";
    expected += known ? std::to_string(wanted.height) + "x" + std::to_string(wanted.width) : "HxW";
    for (const ExtraInput& input : extra_inputs) {
      expected += ", " + input.name + " " + name_of(input.type) + " " + shape_text(input.shape);
    }
    throw Error(ErrorCode::model_load,
                "The model must have " + expected + " but has " + tensors_text(inputs_) + detail);
  };
  if (inputs_.size() != 1 + extra_inputs.size()) refuse("");
  size_t found = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const auto extra = std::find_if(extra_inputs.begin(), extra_inputs.end(),
                                    [&](const ExtraInput& input) { return input.name == inputs_[i].name; });
    if (extra == extra_inputs.end()) {
      image_input_ = i;
    } else if (allows(inputs_[i], *extra)) {
      ++found;
    }
  }
  const TensorInfo& image = inputs_[image_input_];
  if (found != extra_inputs.size() || image.type != name_of(ElementType::float32) || image.shape.size() != 4) {
    refuse("");
  }
  const Shape& shape = image.shape;
  if (!allows(shape[0], 1) || !allows(shape[1], 3)) refuse("");
  const bool open = shape[2] < 0 || shape[3] < 0;
  if (open && wanted.width <= 0) {
    if (otherwise.width <= 0) refuse("; its height and width are open: give an input size");
    wanted = {allows(shape[3], otherwise.width) ? otherwise.width : static_cast<int>(shape[3]),
              allows(shape[2], otherwise.height) ? otherwise.height : static_cast<int>(shape[2])};
  }
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
  input_values_.push_back(Ort::Value::CreateTensor<float>(memory, input, static_cast<size_t>(element_count(shape)),
                                                          shape.data(), shape.size()));
  binding_.BindInput(session.inputs()[session.image_input_].name.c_str(), input_values_[0]);
  for (const ExtraInput& extra : session.signature_.extra_inputs) {
    extra_inputs_.emplace_back(extra.type, extra.shape);
    input_values_.push_back(value_of(extra_inputs_.back()));
    binding_.BindInput(extra.name.c_str(), input_values_.back());
  }
  set_extra_inputs({size.width, size.height, size.width, size.height});
  for (const TensorInfo& output : session.outputs()) binding_.BindOutput(output.name.c_str(), memory);
  try {
    session.session_.Run(run_options_, binding_);
    bind_outputs();
  } catch (const Ort::Exception& exception) {
    throw Error(ErrorCode::model_load, "The model fails on an input of " + shape_text(shape) + ": " + exception.what());
  }
}

void Execution::set_extra_inputs(const FrameGeometry& geometry) {
  for (size_t i = 0; i < extra_inputs_.size(); ++i) {
    const ExtraInput& input = session_.signature_.extra_inputs[i];
    const auto count = static_cast<size_t>(element_count(input.shape));
    for (size_t at = 0; at < count; ++at) extra_inputs_[i].set(at, input.value(geometry, at));
  }
}

void Execution::bind_outputs() {
  const std::vector<Ort::Value> values = binding_.GetOutputValues();
  const auto& described = session_.outputs();
  const std::vector<ElementType>& types = session_.signature_.output_types;
  binding_.ClearBoundOutputs();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].IsTensor())
      throw Error(ErrorCode::model_load, "The model's output " + described[i].name + " is no tensor");
    const auto info = values[i].GetTensorTypeAndShapeInfo();
    outputs_.push_back({described[i].name, type_name(info.GetElementType()), info.GetShape()});
    const auto type =
        std::find_if(types.begin(), types.end(), [&](ElementType known) { return outputs_[i].type == name_of(known); });
    if (type == types.end()) {
      std::string expected;
      for (const ElementType known : types) expected += (expected.empty() ? "" : " or ") + std::string(name_of(known));
      throw Error(ErrorCode::model_load,
                  "The model's output " + outputs_[i].name + " must be " + expected + " but is " + outputs_[i].type);
    }
    buffers_.emplace_back(*type, outputs_[i].shape);
    std::memcpy(buffers_[i].data(), values[i].GetTensorRawData(), buffers_[i].byte_count());
    output_values_.push_back(value_of(buffers_[i]));
    binding_.BindOutput(outputs_[i].name.c_str(), output_values_[i]);
    views_.push_back(buffers_[i].view());
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
