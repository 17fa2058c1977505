#include "heads/hopenet.h"

#include <algorithm>
#include <cmath>

#include "heads/registry.h"

namespace edge_infer {
namespace {

constexpr int kBins = 66;
constexpr float kBinWidth = 3;
constexpr float kFirstBin = -99;

float expected_angle(const float* logits) {
  const float largest = *std::max_element(logits, logits + kBins);
  float sum = 0, weighted = 0;
  for (int i = 0; i < kBins; ++i) {
    const float weight = std::exp(logits[i] - largest);
    sum += weight;
    weighted += weight * static_cast<float>(i);
  }
  return weighted / sum * kBinWidth + kFirstBin;
}

}  // namespace

HopenetHead::HopenetHead(const HeadParameters& parameters, const std::vector<TensorInfo>& outputs) {
  const auto fits = [](const TensorInfo& output) { return output.shape == Shape{1, kBins}; };
  if (outputs.size() != 3 || !std::all_of(outputs.begin(), outputs.end(), fits)) {
    refuse_outputs(parameters.family, {}, outputs);
  }
}

HeadPose HopenetHead::decode(const std::vector<TensorView>& outputs) const {
  return {expected_angle(outputs[0].data<float>()), expected_angle(outputs[1].data<float>()),
          expected_angle(outputs[2].data<float>())};
}

}  // namespace edge_infer
