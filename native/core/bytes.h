#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace edge_infer {

/// A view of bytes somebody else owns.
struct ByteView {
  const uint8_t* data = nullptr;
  size_t size = 0;

  ByteView() = default;
  ByteView(const uint8_t* bytes, size_t length) : data(bytes), size(length) {}
  ByteView(const std::vector<uint8_t>& bytes) : data(bytes.data()), size(bytes.size()) {}
  explicit ByteView(std::string_view text) : data(reinterpret_cast<const uint8_t*>(text.data())), size(text.size()) {}

  const uint8_t* end() const { return data + size; }
  bool starts_with(std::string_view prefix) const {
    return size >= prefix.size() && std::string_view(reinterpret_cast<const char*>(data), prefix.size()) == prefix;
  }
};

using Bytes = std::vector<uint8_t>;

}  // namespace edge_infer
