#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "error.h"

namespace edge_infer {

using Shape = std::vector<int64_t>;

/// `1x84x8400`; an open dimension is written `?`.
std::string shape_text(const Shape& shape);

/// Number of elements of a shape without open dimensions.
int64_t element_count(const Shape& shape);

/// Types of elements that are computed with; a model may have others, which are only named.
enum class ElementType { float32, int32, int64 };

/// As in TensorInfo::type.
const char* name_of(ElementType type);

template <typename T>
inline constexpr ElementType kElementType = ElementType::float32;
template <>
inline constexpr ElementType kElementType<int32_t> = ElementType::int32;
template <>
inline constexpr ElementType kElementType<int64_t> = ElementType::int64;

struct TensorInfo {
  std::string name;
  std::string type;
  Shape shape;
};

/// `images float32 1x3x640x640, sizes int64 1x2`, or `none`.
std::string tensors_text(const std::vector<TensorInfo>& tensors);

/// A tensor somebody else owns.
class TensorView {
 public:
  TensorView(ElementType type, const void* data, Shape shape) : type_(type), data_(data), shape_(std::move(shape)) {}
  template <typename T>
  TensorView(const T* data, Shape shape) : TensorView(kElementType<T>, data, std::move(shape)) {}

  /// The elements, row by row. Throws INTERNAL where they are of another type.
  template <typename T>
  const T* data() const {
    if (type_ != kElementType<T>) throw Error(ErrorCode::internal, std::string("A tensor of ") + name_of(type_));
    return static_cast<const T*>(data_);
  }
  const Shape& shape() const { return shape_; }

 private:
  ElementType type_;
  const void* data_;
  Shape shape_;
};

/// A tensor that owns its elements, zeros at first.
class Tensor {
 public:
  Tensor(ElementType type, Shape shape);

  ElementType type() const { return type_; }
  const Shape& shape() const { return shape_; }
  void* data() { return bytes_.data(); }
  size_t byte_count() const { return bytes_.size(); }
  TensorView view() const { return {type_, bytes_.data(), shape_}; }
  /// Converts the value to the tensor's type.
  void set(size_t index, double value);

 private:
  ElementType type_;
  Shape shape_;
  std::vector<uint8_t> bytes_;
};

}  // namespace edge_infer
