#pragma once

namespace edge_infer {

/// Corners in pixels of the frame.
struct Box {
  double x1, y1, x2, y2;
};

/// Degrees.
struct HeadPose {
  float yaw, pitch, roll;
};

}  // namespace edge_infer
