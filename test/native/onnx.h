#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "model/tensor.h"

/// Small ONNX models made for the tests, in protobuf's wire format.
namespace onnx {

inline std::string varint(uint64_t value) {
  std::string bytes;
  for (; value > 0x7f; value >>= 7) bytes += static_cast<char>(0x80 | (value & 0x7f));
  return bytes + static_cast<char>(value);
}

inline std::string field(int number, uint64_t value) {
  return varint(static_cast<uint64_t>(number) << 3) + varint(value);
}

inline std::string field(int number, const std::string& payload) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(payload.size()) + payload;
}

/// TensorProto.DataType.
inline uint64_t data_type(edge_infer::ElementType type) {
  switch (type) {
    case edge_infer::ElementType::int32:
      return 6;
    case edge_infer::ElementType::int64:
      return 7;
    default:
      return 1;
  }
}

inline std::string value_info(const std::string& name, edge_infer::ElementType type, const edge_infer::Shape& shape) {
  std::string sides;
  for (const int64_t side : shape) sides += field(1, field(1, static_cast<uint64_t>(side)));
  return field(1, name) + field(2, field(1, field(1, data_type(type)) + field(2, sides)));
}

class Graph {
 public:
  void input(const std::string& name, edge_infer::ElementType type, const edge_infer::Shape& shape) {
    fields_ += field(11, value_info(name, type, shape));
  }

  /// An output that is what the input `source` is.
  void echo(const std::string& name, edge_infer::ElementType type, const edge_infer::Shape& shape,
            const std::string& source) {
    fields_ += field(1, field(1, source) + field(2, name) + field(4, std::string("Identity")));
    fields_ += field(12, value_info(name, type, shape));
  }

  /// An output that is always the same.
  template <typename T>
  void constant(const std::string& name, const edge_infer::Shape& shape, const std::vector<T>& values) {
    const auto type = edge_infer::kElementType<T>;
    std::string tensor;
    for (const int64_t side : shape) tensor += field(1, static_cast<uint64_t>(side));
    tensor += field(2, data_type(type)) + field(8, name + "_value");
    tensor += field(9, std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
    fields_ += field(5, tensor);
    echo(name, type, shape, name + "_value");
  }

  /// A file that goes when the graph goes.
  const std::string& path() {
    if (path_.empty()) {
      char name[] = "/tmp/edge-infer-test-XXXXXX";
      close(mkstemp(name));
      path_ = name;
      const std::string operator_set = field(8, field(1, std::string()) + field(2, 13));
      std::ofstream(path_, std::ios::binary)
          << field(1, 8) + field(7, fields_ + field(2, std::string("test"))) + operator_set;
    }
    return path_;
  }

  ~Graph() { std::remove(path_.c_str()); }

 private:
  std::string fields_;
  std::string path_;
};

}  // namespace onnx
