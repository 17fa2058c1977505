#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "model/tensor.h"

namespace edge_infer {

/// Pixels of the network's input and of the frame that is placed in it.
struct FrameGeometry {
  int input_width = 0;
  int input_height = 0;
  int frame_width = 0;
  int frame_height = 0;
};

/// An input of a model beside the image.
struct ExtraInput {
  std::string name;
  ElementType type = ElementType::float32;
  Shape shape;
  /// The element at `index` for one frame.
  double (*value)(const FrameGeometry& geometry, size_t index) = nullptr;
};

/// The inputs and outputs that a model must have, beside its image input float32 1×3×H×W.
struct ModelSignature {
  std::vector<ExtraInput> extra_inputs;
  /// Types that the elements of an output may be of.
  std::vector<ElementType> output_types = {ElementType::float32};
};

}  // namespace edge_infer
