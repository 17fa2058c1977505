#include <doctest/doctest.h>

#include <string>

#include "error.h"
#include "jobs/job_protocol.h"

using namespace edge_infer;

TEST_CASE("a job's header") {
  const Bytes memory{9, 9, 1, 2, 3, 4, 5};
  const std::vector<double> two_pictures{7, 1 + 2, 2, 2, 1, 0, 0, 0, 0, 0, 2, 1, 4, 5, 3, 1, 3, 1.5, 2, 3, 4.25};
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

  const std::vector<double> inline_picture{8, 4, -1, 1, 0, 2, 0, 0, 0, 0, 7};
  const JobRequest other = decode_job(inline_picture, {}, memory);
  CHECK(other.job.render);
  CHECK_FALSE(other.job.boxes);
  CHECK(other.job.images[0].kind == ImageSource::Kind::json);
  CHECK(other.job.images[0].data.data == memory.data());

  const std::vector<double> no_box{9, 2, 0, 0, 0};
  CHECK(decode_job(no_box, memory, {}).job.boxes->empty());
}

TEST_CASE("headers of jobs that are none") {
  const Bytes memory(10);
  const auto refused = [&](const std::vector<double>& header) {
    CHECK_THROWS_AS(decode_job(header, memory, {}), Error);
  };
  refused({});
  refused({1, 0, 0, 1, 0, 0, 0, 0, 0, 0});
  refused({1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11});
  refused({1, 0, 11, 1, 0, 0, 0, 0, 0, 0, 0});
  refused({1, 2, 0, 0, 1, 5, 5, 5});
  refused({1, 0, 0, 0, 1, 5, 5, 5, 5});
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
  const std::vector<double> expected{3, 0, 1, 2, 3,   4, 5, 0.25, 0.5, 4096, 2, 640, 480, 1,  0, 1, 2,
                                     1, 2, 3, 4, 0.5, 6, 3, 10,   20,  0,    1, 0,   -1,  -1, 0, 1};
  CHECK(encode_outcome(3, outcome, {0.25, 0.5, 4096}) == expected);
  const std::vector<ByteView> pictures = pictures_of(outcome);
  REQUIRE(pictures.size() == 2);
  CHECK(pictures[0].size == 3);
  CHECK(pictures[1].data == outcome.items[0].rendered->data());
  CHECK(encode_failure(4) == std::vector<double>{4, 1});
}
