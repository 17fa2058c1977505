#include "model/tensor.h"

namespace edge_infer {
namespace {

size_t element_size(ElementType type) { return type == ElementType::int64 ? sizeof(int64_t) : sizeof(float); }

}  // namespace

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const int64_t side : shape) {
    if (!text.empty()) text += 'x';
    text += side < 0 ? "?" : std::to_string(side);
  }
  return text.empty() ? "scalar" : text;
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  return count;
}

const char* name_of(ElementType type) {
  switch (type) {
    case ElementType::float32:
      return "float32";
    case ElementType::int32:
      return "int32";
    case ElementType::int64:
      return "int64";
  }
  return "";
}

std::string tensors_text(const std::vector<TensorInfo>& tensors) {
  std::string text;
  for (const TensorInfo& tensor : tensors) {
    text += (text.empty() ? "" : ", ") + tensor.name + " " + tensor.type + " " + shape_text(tensor.shape);
  }
  return text.empty() ? "none" : text;
}

Tensor::Tensor(ElementType type, Shape shape)
    : type_(type), shape_(std::move(shape)), bytes_(static_cast<size_t>(element_count(shape_)) * element_size(type)) {}

void Tensor::set(size_t index, double value) {
  switch (type_) {
    case ElementType::float32:
      reinterpret_cast<float*>(bytes_.data())[index] = static_cast<float>(value);
      return;
    case ElementType::int32:
      reinterpret_cast<int32_t*>(bytes_.data())[index] = static_cast<int32_t>(value);
      return;
    case ElementType::int64:
      reinterpret_cast<int64_t*>(bytes_.data())[index] = static_cast<int64_t>(value);
      return;
  }
}

}  // namespace edge_infer
