#include <doctest/doctest.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <new>
#include <optional>
#include <string>
#include <thread>

#include "error.h"
#include "jobs/job_protocol.h"
#include "jobs/job_server.h"

using namespace edge_infer;

namespace {

constexpr double kVersion = kJobProtocolVersion;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string refusal_of(const std::vector<double>& header, ByteView memory) {
  try {
    decode_job(header, memory, {});
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::internal);
    return error.what();
  }
  return "";
}

/// A job server on a thread of its own, and the other end of its socket.
class Served {
 public:
  explicit Served(JobServer::Run run) {
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets_) == 0);
    memory_ = memfd_create("jobs", 0);
    REQUIRE(ftruncate(memory_, 4096) == 0);
    server.emplace(sockets_[1], memory_);
    worker_ = std::thread([this, run = std::move(run)] {
      try {
        while (!closed && !stopped) closed = server->serve(run);
      } catch (const Error& error) {
        failure = error.what();
      }
    });
  }
  ~Served() {
    stopped = true;
    server->stop();
    if (worker_.joinable()) worker_.join();
    for (const int descriptor : {sockets_[0], sockets_[1], memory_}) close(descriptor);
  }

  int socket() const { return sockets_[0]; }
  void join() { worker_.join(); }

  void post(const std::vector<double>& header) {
    const MessagePrefix prefix{static_cast<uint32_t>(header.size() * sizeof(double)), 0};
    REQUIRE(::send(socket(), &prefix, sizeof prefix, 0) == sizeof prefix);
    REQUIRE(::send(socket(), header.data(), prefix.header_bytes, 0) == static_cast<ssize_t>(prefix.header_bytes));
  }
  void post(double id) { post({kVersion, id, 0, 0, 0, 0}); }

  struct Answer {
    double id, failed;
    std::string text;
  };
  Answer answer() {
    MessagePrefix prefix;
    receive(&prefix, sizeof prefix);
    std::vector<double> header(prefix.header_bytes / sizeof(double));
    receive(header.data(), prefix.header_bytes);
    std::string text(prefix.data_bytes, '\0');
    receive(text.data(), text.size());
    CHECK(header[0] == kVersion);
    return {header[1], header[2], text};
  }

  std::optional<JobServer> server;
  std::atomic<bool> closed{false}, stopped{false};
  std::string failure;

 private:
  void receive(void* target, size_t size) {
    // Where nothing is to come, recv would wait for the next message.
    if (size > 0) REQUIRE(recv(socket(), target, size, MSG_WAITALL) == static_cast<ssize_t>(size));
  }

  int sockets_[2];
  int memory_ = -1;
  std::thread worker_;
};

void wait_for(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace

TEST_CASE("a job's header") {
  const Bytes memory{9, 9, 1, 2, 3, 4, 5};
  const std::vector<double> two_pictures{kVersion, 7, 1 + 2, 2, 2, 1, 0, 0,   0, 0, 0,
                                         2,        1, 4,     5, 3, 1, 3, 1.5, 2, 3, 4.25};
  const JobRequest request = decode_job(two_pictures, memory, {});
  CHECK(request.id == 7);
  CHECK(request.job.crops);
  CHECK_FALSE(request.job.render);
  REQUIRE(request.job.images.size() == 2);
  CHECK(request.job.images[0].kind == ImageSource::Kind::encoded);
  CHECK(request.job.images[0].data.data == memory.data() + 2);
  CHECK(request.job.images[0].data.size == 2);
  const ImageSource& raw = request.job.images[1];
  CHECK(raw.kind == ImageSource::Kind::raw);
  CHECK(raw.width == 4);
  CHECK(raw.height == 5);
  CHECK(raw.channels == 3);
  CHECK(raw.order == ChannelOrder::bgr);
  CHECK(raw.data.data == memory.data() + 4);
  REQUIRE(request.job.boxes->size() == 1);
  CHECK(request.job.boxes->at(0).y2 == 4.25);

  const std::vector<double> inline_picture{kVersion, 8, 4, -1, 1, 0, 2, 0, 0, 0, 0, 7};
  const JobRequest other = decode_job(inline_picture, {}, memory);
  CHECK(other.job.render);
  CHECK_FALSE(other.job.boxes);
  CHECK(other.job.images[0].kind == ImageSource::Kind::json);
  CHECK(other.job.images[0].data.data == memory.data());

  const std::vector<double> no_box{kVersion, 9, 2, 0, 0, 0};
  CHECK(decode_job(no_box, memory, {}).job.boxes->empty());
}

TEST_CASE("headers of jobs that are none") {
  const Bytes memory(10);
  const std::vector<double> good{kVersion, 1, 2, 0, 1, 1, 0, 0, 0, 0, 0, 10, 5, 5, 5, 5};
  CHECK(refusal_of(good, memory).empty());
  for (size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(refusal_of({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}, memory).empty());
  }
  for (size_t i = 0; i < good.size(); ++i) {
    for (const double value : {kNaN, kInfinity, -kInfinity}) {
      std::vector<double> header = good;
      header[i] = value;
      CHECK_FALSE(refusal_of(header, memory).empty());
    }
  }
  const auto refused = [&](size_t place, double value, const char* why) {
    std::vector<double> header = good;
    header[place] = value;
    const std::string refusal = refusal_of(header, memory);
    CHECK_MESSAGE(refusal.find(why) != std::string::npos, refusal);
  };
  refused(1, -1, "id of the head");
  refused(2, 8, "flags of the head of a job but received 8");
  refused(2, 0, "without boxes");
  refused(3, 1, "outside its memory");
  refused(3, 9e15, "outside its memory");
  refused(3, -2, "offset");
  refused(4, 2147483647, "numbers but received 16");
  refused(4, 0.5, "images");
  refused(5, 2, "a job's header of 20 numbers but received 16");
  refused(6, 3, "kind of an image");
  refused(10, 2, "order of an image");
  refused(11, 11, "outside its memory");
  refused(11, -1, "bytes of an image");
  CHECK(refusal_of({3, 1, 0, 0, 0, 0}, memory) ==
        "This worker knows version 2 of the job protocol but received a job of version 3");
}

TEST_CASE("an answer's header and its pictures") {
  JobOutcome outcome;
  outcome.timings = {1, 2, 3, 4, 5};
  JobItem item;
  item.width = 640;
  item.height = 480;
  item.detections = {{1, 2, 3, 4, 0.5f, 6}};
  item.crops = {{1, 2, 3}};
  item.rendered = Bytes{4, 5};
  outcome.items.push_back(item);
  JobItem face;
  face.width = 10;
  face.height = 20;
  face.poses = {{-1, 0, 1}};
  outcome.items.push_back(face);
  const std::vector<double> expected{kVersion, 3, 0, 1, 2, 3,   4, 5, 0.25, 0.5, 4096, 2, 640, 480, 1,  0, 1,
                                     2,        1, 2, 3, 4, 0.5, 6, 3, 10,   20,  0,    1, 0,   -1,  -1, 0, 1};
  CHECK(encode_outcome(3, outcome, {0.25, 0.5, 4096}) == expected);
  const std::vector<ByteView> pictures = pictures_of(outcome);
  REQUIRE(pictures.size() == 2);
  CHECK(pictures[0].size == 3);
  CHECK(pictures[1].data == outcome.items[0].rendered->data());
}

TEST_CASE("whatever a job throws is its answer") {
  Served served([](const Job&, Cancellation&) -> JobOutcome {
    static int calls = 0;
    switch (calls++) {
      case 0:
        throw Error(ErrorCode::bad_image, "no picture");
      case 1:
        throw std::bad_alloc();
      case 2:
        throw std::runtime_error("something else");
      case 3:
        throw 5;
      default:
        return {};
    }
  });
  for (const char* text : {"BAD_IMAGE\nno picture", "INTERNAL\nOut of memory", "INTERNAL\nsomething else",
                           "INTERNAL\nAn exception of an unknown type was thrown"}) {
    static double id = 0;
    served.post(++id);
    const Served::Answer answer = served.answer();
    CHECK(answer.id == id);
    CHECK(answer.failed == 1);
    CHECK(answer.text == text);
  }
  served.post({kVersion + 1, 5});
  CHECK(served.answer().text.find("received a job of version") != std::string::npos);
  served.post({kVersion, 6, kNaN, 0, 0, 0});
  CHECK(served.answer().text.find("flags") != std::string::npos);
  served.post(7);
  CHECK(served.answer().failed == 0);
  shutdown(served.socket(), SHUT_WR);
  served.join();
  CHECK(served.closed);
}

TEST_CASE("what is no message ends the service with a sentence") {
  for (const MessagePrefix prefix :
       {MessagePrefix{12, 0}, MessagePrefix{0, 0}, MessagePrefix{0xfffffff8, 0}, MessagePrefix{16, 0xffffffff}}) {
    Served served([](const Job&, Cancellation&) { return JobOutcome{}; });
    REQUIRE(send(served.socket(), &prefix, sizeof prefix, 0) == sizeof prefix);
    served.join();
    CHECK_FALSE(served.closed);
    CHECK_FALSE(served.failure.empty());
  }
}

TEST_CASE("a cancelled job is answered at once, whatever the thread is doing") {
  std::atomic<bool> running{false}, go_on{false};
  Served served([&](const Job&, Cancellation& cancellation) {
    running = true;
    wait_for(go_on);
    cancellation.throw_if_cancelled();
    return JobOutcome{};
  });
  served.server->cancel(1);
  CHECK(served.answer().text == "ABORTED\nThe call was cancelled");
  served.post(1);
  served.post(2);
  wait_for(running);
  served.server->cancel(4);
  CHECK(served.answer().id == 4);
  served.server->cancel(2);
  go_on = true;
  const Served::Answer second = served.answer();
  CHECK(second.id == 2);
  CHECK(second.text == "ABORTED\nThe call was cancelled");
  served.server->cancel(2);
  served.server->pause();
  served.post(3);
  CHECK(served.answer().id == 3);
  CHECK_THROWS_AS(served.server->serve([](const Job&, Cancellation&) { return JobOutcome{}; }), Error);
}

TEST_CASE("cancel() does not wait for a full socket, and no answer is lost or cut") {
  std::atomic<bool> running{false}, go_on{false};
  Served served([&](const Job&, Cancellation&) {
    running = true;
    wait_for(go_on);
    JobOutcome outcome;
    outcome.items.resize(1);
    outcome.items[0].rendered = Bytes(4 << 20, 'x');
    return outcome;
  });
  served.post(1);
  wait_for(running);
  constexpr int kMany = 20000;
  for (int id = 2; id <= kMany; ++id) served.server->cancel(static_cast<uint32_t>(id));
  go_on = true;
  for (int id = 2; id <= kMany; ++id) {
    const Served::Answer answer = served.answer();
    if (answer.id != id || answer.text != "ABORTED\nThe call was cancelled") FAIL(answer.id << " for " << id);
  }
  const Served::Answer large = served.answer();
  CHECK(large.id == 1);
  CHECK(large.text == std::string(4 << 20, 'x'));
}

TEST_CASE("a server that is gone, and one that does not read") {
  std::atomic<bool> running{false}, go_on{false};
  const auto run = [&](const Job&, Cancellation&) {
    running = true;
    wait_for(go_on);
    JobOutcome outcome;
    outcome.items.resize(1);
    outcome.items[0].rendered = Bytes(4 << 20, 'x');
    return outcome;
  };
  SUBCASE("the answer of a server that is gone is dropped") {
    Served served(run);
    served.post(1);
    wait_for(running);
    shutdown(served.socket(), SHUT_RDWR);
    served.server->cancel(2);
    go_on = true;
    served.join();
    CHECK(served.closed);
    CHECK(served.failure.empty());
  }
  SUBCASE("a message that the end of the socket cuts off is none") {
    const MessagePrefix prefix{2 * sizeof(double), 8};
    const double header[2] = {kVersion, 1};
    std::string message(reinterpret_cast<const char*>(&prefix), sizeof prefix);
    message.append(reinterpret_cast<const char*>(header), sizeof header).append(8, 'x');
    for (size_t size = 1; size < message.size(); ++size) {
      Served served(run);
      REQUIRE(send(served.socket(), message.data(), size, 0) == static_cast<ssize_t>(size));
      shutdown(served.socket(), SHUT_RDWR);
      served.join();
      CHECK(served.closed);
      CHECK(served.failure.empty());
    }
    CHECK_FALSE(running);
  }
  SUBCASE("stop() ends the wait for the rest of a message") {
    const MessagePrefix prefix{16, 0};
    Served served(run);
    REQUIRE(send(served.socket(), &prefix, sizeof prefix, 0) == sizeof prefix);
    int unread = 1;
    while (unread > 0) {
      REQUIRE(ioctl(served.socket(), TIOCOUTQ, &unread) == 0);
      std::this_thread::yield();
    }
  }
  SUBCASE("stop() ends the wait for one that does not read") {
    Served served(run);
    served.post(1);
    wait_for(running);
    go_on = true;
  }
  SUBCASE("a socket that is none is reported") {
    const int memory = memfd_create("jobs", 0);
    REQUIRE(ftruncate(memory, 4096) == 0);
    JobServer server(memory, memory);
    server.cancel(1);
    CHECK_THROWS_WITH_AS(server.serve(run), "sendmsg failed: Socket operation on non-socket", Error);
    close(memory);
    CHECK_THROWS_AS(JobServer(0, 1'000'000), Error);
  }
}
