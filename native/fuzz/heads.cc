/// Every family's decode, of tensors whose shapes are those it asks for or nearly, and whose values are anything; then
/// what the pipeline makes of the boxes.
#include <fuzzer/FuzzedDataProvider.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "detection.h"
#include "heads/registry.h"
#include "refuses_or_returns.h"

using namespace edge_infer;

namespace {

/// A tensor that is accepted with more elements only takes longer.
constexpr int64_t kMaxElements = 1 << 16;

/// Elements of `type` in the room of the largest: what the input says, over and over.
std::vector<int64_t> elements(FuzzedDataProvider& in, size_t count, ElementType type) {
  const size_t bytes = type == ElementType::int64 ? sizeof(int64_t) : sizeof(float);
  std::vector<uint8_t> pattern;
  if (type == ElementType::float32 && in.ConsumeBool()) {
    const float largest = in.PickValueInArray({1.f, 10.f, 1000.f, 3e38f});
    for (int i = in.ConsumeIntegralInRange(1, 64); i > 0; --i) {
      const float value = in.ConsumeFloatingPointInRange(-largest, largest);
      pattern.insert(pattern.end(), reinterpret_cast<const uint8_t*>(&value),
                     reinterpret_cast<const uint8_t*>(&value + 1));
    }
  } else {
    pattern = in.ConsumeBytes<uint8_t>(bytes * in.ConsumeIntegralInRange<size_t>(1, 64));
  }
  pattern.resize((pattern.size() + bytes) / bytes * bytes);
  std::vector<int64_t> room(count * bytes / sizeof(int64_t) + 1);
  auto* const at = reinterpret_cast<uint8_t*>(room.data());
  for (size_t i = 0; i < count * bytes; i += bytes) std::memcpy(at + i, &pattern[i % pattern.size()], bytes);
  return room;
}

/// The shapes in `1x84x8400` and `1x66, 1x66` as the refusal of a model without outputs names them.
std::vector<Shape> shapes_in(const std::string& text) {
  std::vector<Shape> shapes;
  for (size_t at = 0; at < text.size();) {
    if (std::isdigit(static_cast<unsigned char>(text[at])) == 0) {
      ++at;
      continue;
    }
    Shape shape;
    do {
      size_t digits = 0;
      shape.push_back(std::stoll(text.substr(at), &digits));
      at += digits;
    } while (at + 1 < text.size() && text[at] == 'x' && std::isdigit(static_cast<unsigned char>(text[++at])) != 0);
    if (shape.size() > 1) shapes.push_back(shape);
  }
  return shapes;
}

void spoil(FuzzedDataProvider& in, std::vector<Shape>& shapes) {
  if (shapes.empty() || in.ConsumeBool()) shapes.emplace_back(in.ConsumeIntegralInRange(0, 5), 1);
  Shape& shape = in.ConsumeBool() ? shapes.back() : shapes.front();
  const int64_t side = in.PickValueInArray<int64_t>({-1, 0, 1, 2, 3, 4, 5, 6, 7, 64, 85, INT32_MAX, int64_t{1} << 40});
  if (in.ConsumeBool() || shape.empty()) {
    shape.push_back(side);
  } else {
    shape[in.ConsumeIntegralInRange<size_t>(0, shape.size() - 1)] = side;
  }
  if (in.ConsumeBool()) shapes.pop_back();
}

template <typename MakeHead>
std::string shapes_wanted(MakeHead make_head, const HeadParameters& parameters) {
  try {
    make_head(parameters, {});
  } catch (const Error& error) {
    const std::string text = error.what();
    const size_t begin = text.find("must have the outputs");
    return text.substr(begin, text.find(" but has", begin) - begin);
  }
  std::abort();
}

bool is_in(const Detection& found, int width, int height) {
  return found.x1 >= 0 && found.y1 >= 0 && found.x2 > found.x1 && found.y2 > found.y1 &&
         found.x2 <= static_cast<float>(width) && found.y2 <= static_cast<float>(height);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider in(data, size);
  const Family& family = families()[in.ConsumeIntegralInRange<size_t>(0, families().size() - 1)];
  HeadParameters parameters{family, in.ConsumeIntegralInRange(1, 96), in.ConsumeIntegralInRange(1, 96),
                            in.ConsumeIntegralInRange(1, 8), in.ConsumeBool()};
  std::vector<Shape> shapes =
      shapes_in(std::visit([&](auto make_head) { return shapes_wanted(make_head, parameters); }, family.make_head));
  if (in.ConsumeBool()) spoil(in, shapes);
  if (in.ConsumeBool()) parameters.class_count = in.ConsumeIntegralInRange(0, 8);

  const std::vector<ElementType>& types = family.signature.output_types;
  std::vector<TensorInfo> infos;
  std::vector<ElementType> chosen;
  for (const Shape& shape : shapes) {
    chosen.push_back(types[in.ConsumeIntegralInRange<size_t>(0, types.size() - 1)]);
    infos.push_back({"output", name_of(chosen.back()), shape});
  }
  DetectionLimits limits;
  limits.score_threshold = in.ConsumeProbability<float>();
  limits.iou_threshold = in.ConsumeProbability<float>();
  limits.max_detections = in.ConsumeIntegralInRange(1, 100);
  if (in.ConsumeBool()) limits.classes = {0, 2};

  refuses_or_returns([&] {
    const auto head = std::visit(
        [&](auto make_head) -> std::variant<std::unique_ptr<DetectionHead>, std::unique_ptr<HeadPoseHead>> {
          return make_head(parameters, infos);
        },
        family.make_head);
    std::vector<std::vector<int64_t>> rooms;
    std::vector<TensorView> views;
    for (size_t i = 0; i < shapes.size(); ++i) {
      // A runtime makes no tensor of other sides.
      for (const int64_t side : shapes[i]) {
        if (side < 0 || side > kMaxElements) return;
      }
      if (element_count(shapes[i]) > kMaxElements) return;
      rooms.push_back(elements(in, static_cast<size_t>(element_count(shapes[i])), chosen[i]));
      views.emplace_back(chosen[i], rooms.back().data(), shapes[i]);
    }
    if (const auto* pose_head = std::get_if<std::unique_ptr<HeadPoseHead>>(&head)) {
      (*pose_head)->decode(views);
      return;
    }
    std::vector<Detection> found;
    const auto& detection_head = std::get<std::unique_ptr<DetectionHead>>(head);
    if (in.ConsumeBool()) detection_head->inspect(views);
    detection_head->decode(views, limits, found);
    if (find_impossible(found, parameters.input_width, parameters.input_height)) return;
    if (family.suppression == Suppression::nms) {
      non_maximum_suppression(found, limits.iou_threshold, limits.max_detections);
    } else {
      keep_highest_scores(found, limits.max_detections);
    }
    if (found.size() > static_cast<size_t>(limits.max_detections)) std::abort();
    const int width = in.ConsumeIntegralInRange(1, 4000), height = in.ConsumeIntegralInRange(1, 4000);
    const auto mode =
        in.PickValueInArray({ResizeMode::stretch, ResizeMode::letterbox_center, ResizeMode::letterbox_top_left});
    to_frame(found, place(mode, width, height, parameters.input_width, parameters.input_height), width, height);
    for (const Detection& one : found) {
      if (!is_in(one, width, height) || !limits.keeps(one.class_id)) std::abort();
      if (!(one.score >= 0 && one.score <= 1)) std::abort();
    }
  });
  return 0;
}
