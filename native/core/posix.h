#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "error.h"

namespace edge_infer {

/// Throws INTERNAL with the reason that errno gives for the failure of `call`.
[[noreturn]] inline void throw_errno(const char* call) {
  throw Error(ErrorCode::internal, std::string(call) + " failed: " + std::strerror(errno));
}

/// Calls `start(i)` for i from 0, each of which starts a thread. Throws INTERNAL for the first that cannot be started.
template <typename Start>
void start_threads(int count, const Start& start) {
  for (int i = 0; i < count; ++i) {
    try {
      start(i);
    } catch (const std::system_error& error) {
      throw Error(ErrorCode::internal, "Thread " + std::to_string(i + 1) + " of " + std::to_string(count) +
                                           " cannot be started: " + error.what() +
                                           " (ulimit -u, pids.max of the control group, TasksMax)");
    }
  }
}

/// Closes the descriptor it owns.
class FileDescriptor {
 public:
  /// Takes what `call` returned. Throws INTERNAL when that is an error.
  FileDescriptor(int descriptor, const char* call) : descriptor_(descriptor) {
    if (descriptor < 0) throw_errno(call);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

/// Unmaps the memory it owns.
class Mapping {
 public:
  /// Maps the first `bytes` of a file, shared. Throws INTERNAL.
  Mapping(int descriptor, size_t bytes, int protection)
      : data_(mmap(nullptr, bytes, protection, MAP_SHARED, descriptor, 0)), bytes_(bytes) {
    if (data_ == MAP_FAILED) throw_errno("mmap");
  }
  Mapping(Mapping&& other) noexcept : data_(other.release()), bytes_(other.bytes_) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }

  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  size_t bytes() const { return bytes_; }
  void* release() { return std::exchange(data_, nullptr); }

 private:
  void* data_;
  size_t bytes_;
};

}  // namespace edge_infer
