#include "image/letterbox.h"

#include <algorithm>
#include <cmath>

#include "vectorize.h"

namespace edge_infer {
namespace {

EDGE_INFER_VECTORIZE
void split_row(const uint8_t* row, int count, float* first, float* second, float* third) {
  for (int i = 0; i < count; ++i) {
    first[i] = row[3 * i];
    second[i] = row[3 * i + 1];
    third[i] = row[3 * i + 2];
  }
}

EDGE_INFER_VECTORIZE
void gather_row(const uint8_t* row, const int* low, const int* high, const float* weight, int count, float* first,
                float* second, float* third) {
  for (int i = 0; i < count; ++i) {
    const uint8_t* a = row + low[i];
    const uint8_t* b = row + high[i];
    const float w = weight[i];
    first[i] = a[0] + (b[0] - a[0]) * w;
    second[i] = a[1] + (b[1] - a[1]) * w;
    third[i] = a[2] + (b[2] - a[2]) * w;
  }
}

EDGE_INFER_VECTORIZE
void blend_rows(const float* upper, const float* lower, float weight, float scale, float bias, int count, float* out) {
  for (int i = 0; i < count; ++i) out[i] = (upper[i] + (lower[i] - upper[i]) * weight) * scale + bias;
}

EDGE_INFER_VECTORIZE
void blend_pixels(const uint8_t* upper, const uint8_t* lower, float weight, int count, float* out) {
  for (int i = 0; i < count; ++i) out[i] = upper[i] + (lower[i] - upper[i]) * weight;
}

/// What gather_row does, of pixels that are blended already, with the normalisation of each plane.
EDGE_INFER_VECTORIZE
void gather_blended(const float* row, const int* low, const int* high, const float* weight, int count,
                    const float (&scale)[3], const float (&bias)[3], float* first, float* second, float* third) {
  for (int i = 0; i < count; ++i) {
    const float* a = row + low[i];
    const float* b = row + high[i];
    const float w = weight[i];
    first[i] = (a[0] + (b[0] - a[0]) * w) * scale[0] + bias[0];
    second[i] = (a[1] + (b[1] - a[1]) * w) * scale[1] + bias[1];
    third[i] = (a[2] + (b[2] - a[2]) * w) * scale[2] + bias[2];
  }
}

EDGE_INFER_VECTORIZE
void scale_row(const float* row, float scale, float bias, int count, float* out) {
  for (int i = 0; i < count; ++i) out[i] = row[i] * scale + bias;
}

}  // namespace

Placement place(ResizeMode mode, int frame_width, int frame_height, int input_width, int input_height) {
  if (mode == ResizeMode::stretch) {
    return {0,
            0,
            input_width,
            input_height,
            static_cast<double>(input_width) / frame_width,
            static_cast<double>(input_height) / frame_height};
  }
  const double ratio =
      std::min(static_cast<double>(input_width) / frame_width, static_cast<double>(input_height) / frame_height);
  const bool centred = mode == ResizeMode::letterbox_center;
  // The models were trained so: YOLOX cuts fractions off, the centred families round them, halves to even.
  const auto whole = [centred](double side, int limit) {
    return std::clamp(static_cast<int>(centred ? std::lrint(side) : side), 1, limit);
  };
  const int width = whole(frame_width * ratio, input_width);
  const int height = whole(frame_height * ratio, input_height);
  return {
      centred ? (input_width - width) / 2 : 0, centred ? (input_height - height) / 2 : 0, width, height, ratio, ratio};
}

InputWriter::InputWriter(const Preprocessing& preprocessing, int input_width, int input_height)
    : preprocessing_(preprocessing), width_(input_width), height_(input_height) {
  for (int plane = 0; plane < 3; ++plane) {
    channel_[plane] = preprocessing.channel_order == ChannelOrder::rgb ? 2 - plane : plane;
    scale_[plane] = preprocessing.scale[plane];
    bias_[plane] = -preprocessing.mean[plane] * preprocessing.scale[plane];
  }
}

InputWriter::Axis InputWriter::make_axis(int length, int target) {
  Axis axis;
  axis.identity = length == target;
  axis.low.resize(target);
  axis.high.resize(target);
  axis.weight.resize(target);
  const double step = static_cast<double>(length) / target;
  for (int i = 0; i < target; ++i) {
    const double position = std::clamp((i + 0.5) * step - 0.5, 0.0, static_cast<double>(length - 1));
    const int whole = static_cast<int>(position);
    axis.low[i] = whole;
    axis.high[i] = std::min(whole + 1, length - 1);
    axis.weight[i] = static_cast<float>(position - whole);
  }
  return axis;
}

void InputWriter::prepare(const Geometry& geometry) {
  buffered_row_[0] = buffered_row_[1] = -1;
  if (geometry == geometry_) return;
  geometry_ = geometry;
  columns_ = make_axis(geometry.source.width, geometry.target.width);
  rows_ = make_axis(geometry.source.height, geometry.target.height);
  for (int& offset : columns_.low) offset *= 3;
  for (int& offset : columns_.high) offset *= 3;
  for (auto& buffer : row_buffers_) buffer.resize(static_cast<size_t>(geometry.target.width) * 3);
}

void InputWriter::interpolate_row(const uint8_t* row, float* planes) const {
  const int count = geometry_.target.width;
  if (columns_.identity) {
    split_row(row, count, planes, planes + count, planes + 2 * count);
  } else {
    gather_row(row, columns_.low.data(), columns_.high.data(), columns_.weight.data(), count, planes, planes + count,
               planes + 2 * count);
  }
}

void InputWriter::shrink(const cv::Mat& source, const Placement& placement, float* input) {
  const int count = source.cols * 3;
  blended_.resize(static_cast<size_t>(count));
  float scale[3], bias[3];
  size_t plane_of[3];
  for (size_t plane = 0; plane < 3; ++plane) {
    scale[channel_[plane]] = scale_[plane];
    bias[channel_[plane]] = bias_[plane];
    plane_of[channel_[plane]] = plane;
  }
  for (int y = 0; y < placement.height; ++y) {
    blend_pixels(source.ptr(rows_.low[y]), source.ptr(rows_.high[y]), rows_.weight[y], count, blended_.data());
    const auto out = [&](int channel) {
      return input + (plane_of[channel] * height_ + placement.y + y) * width_ + placement.x;
    };
    gather_blended(blended_.data(), columns_.low.data(), columns_.high.data(), columns_.weight.data(), placement.width,
                   scale, bias, out(0), out(1), out(2));
  }
}

void InputWriter::resample(const cv::Mat& source, const Placement& placement, float* input) {
  const int count = placement.width;
  // Rows come in ascending order, so each source row is interpolated once: the two buffers swap roles.
  const auto buffered = [&](int row, int other) -> int {
    for (const int slot : {0, 1}) {
      if (buffered_row_[slot] == row) return slot;
    }
    const int slot = buffered_row_[0] == other ? 1 : 0;
    interpolate_row(source.ptr(row), row_buffers_[slot].data());
    buffered_row_[slot] = row;
    return slot;
  };
  for (int y = 0; y < placement.height; ++y) {
    const float weight = rows_.weight[y];
    const int low = rows_.low[y];
    const int high = weight == 0 ? low : rows_.high[y];
    const float* upper = row_buffers_[buffered(low, high)].data();
    const float* lower = row_buffers_[buffered(high, low)].data();
    for (int plane = 0; plane < 3; ++plane) {
      float* out = input + (static_cast<size_t>(plane) * height_ + placement.y + y) * width_ + placement.x;
      const size_t channel = static_cast<size_t>(channel_[plane]) * count;
      if (high == low) {
        scale_row(upper + channel, scale_[plane], bias_[plane], count, out);
      } else {
        blend_rows(upper + channel, lower + channel, weight, scale_[plane], bias_[plane], count, out);
      }
    }
  }
}

void InputWriter::fill_border(const Placement& placement, float* input) const {
  const int right = placement.x + placement.width;
  const int bottom = placement.y + placement.height;
  for (int plane = 0; plane < 3; ++plane) {
    const float value = preprocessing_.pad * scale_[plane] + bias_[plane];
    float* const out = input + static_cast<size_t>(plane) * height_ * width_;
    std::fill(out, out + static_cast<size_t>(placement.y) * width_, value);
    std::fill(out + static_cast<size_t>(bottom) * width_, out + static_cast<size_t>(height_) * width_, value);
    if (placement.width == width_) continue;
    for (int y = placement.y; y < bottom; ++y) {
      float* const row = out + static_cast<size_t>(y) * width_;
      std::fill(row, row + placement.x, value);
      std::fill(row + right, row + width_, value);
    }
  }
}

Placement InputWriter::write(const Frame& frame, float* input) {
  const Placement placement = place(preprocessing_.resize, frame.width, frame.height, width_, height_);
  prepare({frame.pixels.size(), cv::Size(placement.width, placement.height)});
  fill_border(placement, input);
  // Where few source rows serve two rows of the input, blending rows first leaves half as many pixels to gather; where
  // most columns are skipped it would blend too many for nothing.
  const bool few_shared_rows = 2 * frame.pixels.rows >= 3 * placement.height;
  if (few_shared_rows && !columns_.identity && frame.pixels.cols <= 3 * placement.width) {
    shrink(frame.pixels, placement, input);
  } else {
    resample(frame.pixels, placement, input);
  }
  return placement;
}

}  // namespace edge_infer
