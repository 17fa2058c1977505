#include "executor.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "model/runtime.h"
#include "onnx.h"
#include "pipeline.h"

using namespace edge_infer;

namespace {

const char* const kRuntime = std::getenv("EDGE_INFER_ORT_LIBRARY");

/// A job of a function, and one for the case that it is abandoned.
template <typename Run, typename Abandon>
struct FunctionJob final : Executor::Job {
  FunctionJob(Run run, Abandon abandon) : run_(std::move(run)), abandon_(std::move(abandon)) {}
  void run(int thread) noexcept override {
    run_(thread);
    delete this;
  }
  void abandon() noexcept override {
    abandon_();
    delete this;
  }
  Run run_;
  Abandon abandon_;
};

template <typename Run, typename Abandon>
void post(Executor& executor, Run run, Abandon abandon) {
  std::unique_ptr<Executor::Job> job = std::make_unique<FunctionJob<Run, Abandon>>(std::move(run), std::move(abandon));
  executor.post(job);
}

}  // namespace

TEST_CASE("an executor that is stopped while many post runs or abandons each job once") {
  constexpr int kPosters = 4, kJobs = 300;
  for (int round = 0; round < 20; ++round) {
    Executor executor(3);
    std::array<std::atomic<int>, static_cast<size_t>(kPosters) * kJobs> ended{};
    std::atomic<int> running{0};
    std::vector<std::thread> threads;
    for (int poster = 0; poster < kPosters; ++poster) {
      threads.emplace_back([&, poster] {
        for (int i = 0; i < kJobs; ++i) {
          std::atomic<int>& mine = ended[static_cast<size_t>(poster * kJobs + i)];
          post(
              executor,
              [&](int) {
                ++running;
                ++mine;
                --running;
              },
              [&] { ++mine; });
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100 * round));
    threads.emplace_back([&] { executor.stop(); });
    threads.emplace_back([&] { executor.stop_within(std::chrono::seconds(60)); });
    executor.stop();
    CHECK(running == 0);
    for (std::thread& thread : threads) thread.join();
    int wrong = 0;
    for (const std::atomic<int>& times : ended) wrong += times == 1 ? 0 : 1;
    CHECK(wrong == 0);
  }
}

TEST_CASE("stop_within() waits no longer than it is told to") {
  std::atomic<bool> running{false}, go_on{false};
  Executor executor(1);
  post(
      executor,
      [&](int) {
        running = true;
        while (!go_on) std::this_thread::yield();
      },
      [] {});
  while (!running) std::this_thread::yield();
  const auto begin = std::chrono::steady_clock::now();
  executor.stop_within(std::chrono::milliseconds(20));
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(20));
  go_on = true;
}

TEST_CASE("a model that is closed while threads run it, and calls are cancelled" * doctest::skip(kRuntime == nullptr)) {
  load_runtime(kRuntime);
  onnx::Graph graph;
  graph.input("images", ElementType::float32, {1, 3, 64, 64});
  graph.constant<float>("output", {1, 252, 6}, std::vector<float>(252 * 6));
  ModelOptions options;
  options.model_paths = {graph.path()};
  options.family = "yolov5";
  const Bytes pixels(static_cast<size_t>(64) * 64 * 3, 9);
  const ImageSource image{ImageSource::Kind::raw, pixels, 64, 64};

  for (int round = 0; round < 10; ++round) {
    constexpr size_t kThreads = 2, kCalls = 60;
    auto model = std::make_unique<Model>(options);
    std::vector<std::unique_ptr<Pipeline>> pipelines;
    for (size_t i = 0; i < kThreads; ++i) pipelines.push_back(std::make_unique<Pipeline>(*model));
    std::array<Cancellation, kCalls> cancellations;
    std::atomic<size_t> ended{0}, wrong{0};
    Executor executor(kThreads);
    for (Cancellation& cancellation : cancellations) {
      post(
          executor,
          [&](int thread) {
            try {
              pipelines[static_cast<size_t>(thread)]->detect(image, {}, cancellation);
            } catch (const Error& error) {
              if (error.code() != ErrorCode::aborted) ++wrong;
            }
            ++ended;
          },
          [&] { ++ended; });
    }
    std::thread canceller([&] {
      for (size_t i = 0; i < kCalls; i += 2) cancellations[i].cancel();
    });
    std::this_thread::sleep_for(std::chrono::microseconds(300 * round));
    executor.stop();
    pipelines.clear();
    model.reset();
    canceller.join();
    CHECK(ended == kCalls);
    CHECK(wrong == 0);
  }
}
