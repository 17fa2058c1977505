#include <doctest/doctest.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "image/annotate.h"
#include "jobs/job_server.h"
#include "model/runtime.h"
#include "pipeline.h"

using namespace edge_infer;

namespace {

/// A path that valgrind.sh gives.
std::string given(const char* name) {
  const char* const value = std::getenv(name);
  REQUIRE_MESSAGE(value != nullptr, name);
  return value;
}

Bytes read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(stream), {});
}

ModelOptions model(const char* variable, const char* family, ResizeMode resize, float mean, float deviation) {
  ModelOptions options;
  options.model_paths = {given(variable)};
  options.family = family;
  options.preprocessing.resize = resize;
  for (int i = 0; i < 3; ++i) options.preprocessing.mean[i] = mean, options.preprocessing.scale[i] = 1 / deviation;
  return options;
}

std::vector<double> receive_header(int socket) {
  MessagePrefix prefix;
  REQUIRE(recv(socket, &prefix, sizeof prefix, MSG_WAITALL) == sizeof prefix);
  std::vector<double> header(prefix.header_bytes / sizeof(double));
  REQUIRE(recv(socket, header.data(), prefix.header_bytes, MSG_WAITALL) == static_cast<ssize_t>(prefix.header_bytes));
  Bytes data(prefix.data_bytes);
  // Where nothing is to come, recv would wait for the next message.
  if (!data.empty()) REQUIRE(recv(socket, data.data(), data.size(), MSG_WAITALL) == static_cast<ssize_t>(data.size()));
  return header;
}

constexpr double kVersion = kJobProtocolVersion;

void send_header(int socket, const std::vector<double>& header) {
  const MessagePrefix prefix{static_cast<uint32_t>(header.size() * sizeof(double)), 0};
  REQUIRE(send(socket, &prefix, sizeof prefix, 0) == sizeof prefix);
  REQUIRE(send(socket, header.data(), prefix.header_bytes, 0) == static_cast<ssize_t>(prefix.header_bytes));
}

/// As a server does with a worker: a job with everything, one that is no picture, one that is cancelled, the end.
void serve_jobs(Pipeline& pipeline, const Bytes& file) {
  int sockets[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
  const int memory = memfd_create("jobs", 0);
  REQUIRE(write(memory, file.data(), file.size()) == static_cast<ssize_t>(file.size()));
  JobServer server(sockets[1], memory);
  JobSettings settings;
  settings.labels = {"face"};
  bool closed = false;
  std::thread worker([&] {
    while (!closed) {
      closed = server.serve(
          [&](const Job& job, Cancellation& cancellation) { return run_job(pipeline, settings, job, cancellation); });
    }
  });
  const auto size = static_cast<double>(file.size());
  send_header(sockets[0], {kVersion, 1, 1 + 4, 0, 1, 0, 0, 0, 0, 0, 0, size});
  const std::vector<double> done = receive_header(sockets[0]);
  CHECK(done[1] == 1);
  CHECK(done[2] == 0);
  server.pause();
  send_header(sockets[0], {kVersion, 2, 0, 1, 1, 0, 0, 0, 0, 0, 0, 20});
  CHECK(receive_header(sockets[0]) == std::vector<double>{kVersion, 2, 1});
  server.cancel(1);
  server.cancel(3);
  CHECK(receive_header(sockets[0]) == std::vector<double>{kVersion, 3, 1});
  send_header(sockets[0], {kVersion, 3, 0, 0, 1, 0, 0, 0, 0, 0, 0, size});
  send_header(sockets[0], {kVersion, 4, 0, 0, 1, 0, 0, 0, 0, 0, 0, size});
  CHECK(receive_header(sockets[0])[1] == 4);
  shutdown(sockets[0], SHUT_WR);
  worker.join();
  CHECK(closed);
  for (const int descriptor : {sockets[0], sockets[1], memory}) close(descriptor);
}

}  // namespace

// Run by valgrind.sh only: the models are large and not always there.
TEST_CASE("each task once" * doctest::skip()) {
  load_runtime(given("EDGE_INFER_ORT_LIBRARY"));
  const Bytes file = read_file(given("TEST_PICTURE"));
  ImageSource picture;
  picture.data = file;
  Cancellation cancellation;
  DetectOptions detect;
  detect.crops.emplace();
  std::vector<Box> faces;
  {
    Model faces_model(model("TEST_FACE_MODEL", "ultraface", ResizeMode::stretch, 127, 128));
    Pipeline pipeline(faces_model);
    const DetectResult found = pipeline.detect(picture, detect, cancellation);
    CHECK(found.detections.size() >= 2);
    CHECK(found.crops->size() == found.detections.size());
    serve_jobs(pipeline, file);
    for (const Detection& face : found.detections) faces.push_back({face.x1, face.y1, face.x2, face.y2});
  }
  {
    Model pose_model(model("TEST_POSE_MODEL", "hopenet", ResizeMode::stretch, 116, 57));
    Pipeline pipeline(pose_model);
    HeadPoseOptions options;
    options.boxes = faces;
    const HeadPoseResult poses = pipeline.head_pose({picture}, options, cancellation);
    REQUIRE(poses.poses.size() == faces.size());
    Mark mark{faces[0], "face", 0, poses.poses[0]};
    CHECK(!encode_image(annotate(read_image(picture, {}).frame.pixels, {mark}), ".jpg", 90).empty());
  }
  {
    Model cars_model(model("TEST_CAR_MODEL", "yolov8", ResizeMode::letterbox_center, 0, 255));
    Pipeline pipeline(cars_model);
    CHECK(pipeline.detect(picture, {}, cancellation).detections.size() >= 2);
  }
  {
    Model helmets_model(model("TEST_HELMET_MODEL", "yolox", ResizeMode::letterbox_top_left, 116, 57));
    Pipeline pipeline(helmets_model);
    CHECK(!pipeline.detect(picture, {}, cancellation).detections.empty());
    cancellation.cancel();
    CHECK_THROWS_AS(pipeline.detect(picture, {}, cancellation), Error);
  }
}
