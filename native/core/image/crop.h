#pragma once

#include <opencv2/core/mat.hpp>

namespace edge_infer {

/// The square round a box: same centre, side `(1 + 2 * margin) * longer side`, whole pixels (halves to even); it may
/// leave the frame.
cv::Rect square_around(double x1, double y1, double x2, double y2, double margin);

/// The largest crop that is made, pixels a side.
constexpr int kMaxCropSide = 4096;

/// The pixels of `area`, which touches the frame, the frame's border pixels repeated where it leaves the frame. A
/// square larger than kMaxCropSide is scaled down to it, so that a wide margin round a large box does not fill the
/// memory.
cv::Mat crop_replicated(const cv::Mat& pixels, const cv::Rect& area);

}  // namespace edge_infer
