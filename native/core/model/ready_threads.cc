#include "model/ready_threads.h"

#include <future>
#include <thread>

#include "posix.h"

namespace edge_infer {

/// Waits for its work, and ends without any when it is destroyed before.
class ReadyThreads::Thread {
 public:
  ~Thread() {
    if (!started_) work_.set_value({});
    thread_.join();
  }

  void start(OrtThreadWorkerFn run, void* argument) {
    started_ = true;
    work_.set_value({run, argument});
  }

 private:
  struct Work {
    OrtThreadWorkerFn run;
    void* argument;
  };

  bool started_ = false;
  std::promise<Work> work_;
  std::thread thread_{[work = work_.get_future()]() mutable {
    const Work given = work.get();
    if (given.run) given.run(given.argument);
  }};
};

ReadyThreads::ReadyThreads(int count) {
  start_threads(count, [this](int) { threads_.push_back(std::make_unique<Thread>()); });
}

ReadyThreads::~ReadyThreads() = default;

void ReadyThreads::serve(Ort::SessionOptions& options) {
  options.SetCustomThreadCreationOptions(this);
  options.SetCustomCreateThreadFn(take);
  options.SetCustomJoinThreadFn(join);
}

OrtCustomThreadHandle ReadyThreads::take(void* self, OrtThreadWorkerFn work, void* argument) noexcept {
  auto& threads = static_cast<ReadyThreads*>(self)->threads_;
  if (threads.empty()) return nullptr;
  Thread* const thread = threads.back().release();
  threads.pop_back();
  thread->start(work, argument);
  return reinterpret_cast<OrtCustomThreadHandle>(thread);
}

void ReadyThreads::join(OrtCustomThreadHandle handle) noexcept { delete reinterpret_cast<const Thread*>(handle); }

}  // namespace edge_infer
