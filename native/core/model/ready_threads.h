#pragma once

#include <memory>
#include <vector>

#include "model/onnxruntime.h"

namespace edge_infer {

/// Threads for ONNX Runtime, all started before it asks for one: where it can start only some of a session's threads it
/// waits for those for ever.
class ReadyThreads {
 public:
  /// Throws INTERNAL when one cannot be started.
  explicit ReadyThreads(int count);
  ReadyThreads(const ReadyThreads&) = delete;
  ReadyThreads& operator=(const ReadyThreads&) = delete;
  /// Ends those that were not taken.
  ~ReadyThreads();

  /// Has the one session that is made with `options`, while this lives, take these threads. It ends them.
  void serve(Ort::SessionOptions& options);

 private:
  class Thread;

  static OrtCustomThreadHandle take(void* self, OrtThreadWorkerFn work, void* argument) noexcept;
  static void join(OrtCustomThreadHandle handle) noexcept;

  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace edge_infer
