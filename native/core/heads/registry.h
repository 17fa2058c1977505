#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "heads/head.h"
#include "model/signature.h"

namespace edge_infer {

using MakeDetectionHead = std::unique_ptr<DetectionHead> (*)(const HeadParameters& parameters,
                                                             const std::vector<TensorInfo>& outputs);
using MakeHeadPoseHead = std::unique_ptr<HeadPoseHead> (*)(const HeadParameters& parameters,
                                                           const std::vector<TensorInfo>& outputs);

/// Who names a family: the catalogue, or only the library, for graphs that it cuts before their decode.
enum class FamilyScope { catalog, internal };

/// Whether boxes that overlap are left to non-maximum suppression, or the outputs are final.
enum class Suppression { nms, none };

/// Models whose outputs are read the same way.
struct Family {
  const char* name;
  /// Shapes and meaning of the outputs. In parentheses: sizes that depend on the model, see refuse_outputs().
  const char* outputs;
  /// Which of the two says what the family is for.
  std::variant<MakeDetectionHead, MakeHeadPoseHead> make_head;
  FamilyScope scope = FamilyScope::catalog;
  Suppression suppression = Suppression::nms;
  ModelSignature signature = {};

  bool detects_objects() const { return std::holds_alternative<MakeDetectionHead>(make_head); }
};

/// Every family, one row each.
const std::vector<Family>& families();

/// Throws BAD_OPTION with the names of all families.
const Family& find_family(const std::string& name);

/// A size in the family's text of outputs, such as `(cells)`, and what it is for this model.
using KnownSize = std::pair<std::string, std::string>;

/// The size `(classes)`, or `(5 + classes)` for `others` of 5: a family's own text where the number is not known.
KnownSize classes_of(const HeadParameters& parameters, int others);

/// Throws MODEL_LOAD where one of the values is not from 0 to 1: those of keypoints, masks, angles, or scores before
/// their sigmoid are not. NaN is none of these.
void expect_scores(const Family& family, const float* values, size_t count);

/// Throws MODEL_LOAD: the outputs that the family expects, with the sizes that are known, and those of the model.
[[noreturn]] void refuse_outputs(const Family& family, const std::vector<KnownSize>& sizes,
                                 const std::vector<TensorInfo>& outputs);

}  // namespace edge_infer
