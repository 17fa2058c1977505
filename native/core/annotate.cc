#include "annotate.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "error.h"

namespace edge_infer {
namespace {

const cv::Scalar& colour_of(int class_id) {
  // Distinct on light and dark ground, and for most kinds of colour blindness (BGR).
  static const cv::Scalar kColours[] = {{0, 158, 230}, {178, 114, 0}, {115, 158, 0}, {167, 121, 204},
                                        {0, 94, 213},  {233, 180, 86}, {66, 228, 240}};
  constexpr int count = sizeof kColours / sizeof kColours[0];
  return kColours[(class_id % count + count) % count];
}

struct Pen {
  int line;
  double font;
};

Pen pen_for(const cv::Mat& pixels) {
  const int side = std::max(pixels.cols, pixels.rows);
  return {std::max(1, side / 500), std::max(0.4, side / 1600.0)};
}

void draw_label(cv::Mat& canvas, const Mark& mark, const Pen& pen) {
  if (mark.label.empty()) return;
  int baseline = 0;
  const int weight = std::max(1, pen.line / 2);
  const cv::Size text = cv::getTextSize(mark.label, cv::FONT_HERSHEY_SIMPLEX, pen.font, weight, &baseline);
  const int height = text.height + baseline + 2 * weight;
  const int x = std::clamp(static_cast<int>(mark.box.x1), 0, std::max(0, canvas.cols - text.width));
  const int top = static_cast<int>(mark.box.y1) - height;
  const int y = top >= 0 ? top : static_cast<int>(mark.box.y1);
  cv::rectangle(canvas, {x, y, text.width + 2 * weight, height}, colour_of(mark.class_id), cv::FILLED);
  cv::putText(canvas, mark.label, {x + weight, y + text.height + weight}, cv::FONT_HERSHEY_SIMPLEX, pen.font,
              {255, 255, 255}, weight, cv::LINE_AA);
}

/// The axes of the head: x to its left (red), y down (green), z out of the face (blue), seen without perspective.
void draw_pose(cv::Mat& canvas, const Mark& mark, const HeadPose& pose, const Pen& pen) {
  constexpr double kRadians = CV_PI / 180;
  const double yaw = -pose.yaw * kRadians, pitch = pose.pitch * kRadians, roll = pose.roll * kRadians;
  const double length = std::max(mark.box.x2 - mark.box.x1, mark.box.y2 - mark.box.y1) / 2;
  const cv::Point2d centre((mark.box.x1 + mark.box.x2) / 2, (mark.box.y1 + mark.box.y2) / 2);
  const cv::Point2d right(std::cos(yaw) * std::cos(roll),
                          std::cos(pitch) * std::sin(roll) + std::cos(roll) * std::sin(pitch) * std::sin(yaw));
  const cv::Point2d down(-std::cos(yaw) * std::sin(roll),
                         std::cos(pitch) * std::cos(roll) - std::sin(pitch) * std::sin(yaw) * std::sin(roll));
  const cv::Point2d outward(std::sin(yaw), -std::cos(yaw) * std::sin(pitch));
  const auto draw = [&](const cv::Point2d& axis, const cv::Scalar& colour) {
    cv::arrowedLine(canvas, centre, centre + axis * length, colour, pen.line + 1, cv::LINE_AA, 0, 0.15);
  };
  draw(right, {0, 0, 255});
  draw(down, {0, 200, 0});
  draw(outward, {255, 80, 0});
}

/// OpenCV's drawing overflows far outside the picture, and nothing of it would be seen: boxes are cut a picture's size
/// beyond its borders. What is no number draws nothing.
std::vector<Mark> drawable(const std::vector<Mark>& marks, cv::Size size) {
  std::vector<Mark> result;
  for (Mark mark : marks) {
    Box& box = mark.box;
    if (!std::isfinite(box.x1) || !std::isfinite(box.y1) || !std::isfinite(box.x2) || !std::isfinite(box.y2)) continue;
    for (double* x : {&box.x1, &box.x2}) *x = std::clamp<double>(*x, -size.width, 2.0 * size.width);
    for (double* y : {&box.y1, &box.y2}) *y = std::clamp<double>(*y, -size.height, 2.0 * size.height);
    if (mark.pose && !std::isfinite(mark.pose->yaw + mark.pose->pitch + mark.pose->roll)) mark.pose.reset();
    result.push_back(std::move(mark));
  }
  return result;
}

}  // namespace

cv::Mat annotate(const cv::Mat& pixels, const std::vector<Mark>& given) {
  cv::Mat canvas = pixels.clone();
  const Pen pen = pen_for(canvas);
  const std::vector<Mark> marks = drawable(given, canvas.size());
  for (const Mark& mark : marks) {
    cv::rectangle(canvas, cv::Point2d(mark.box.x1, mark.box.y1), cv::Point2d(mark.box.x2, mark.box.y2),
                  colour_of(mark.class_id), pen.line + 1, cv::LINE_AA);
  }
  for (const Mark& mark : marks) {
    if (mark.pose) draw_pose(canvas, mark, *mark.pose, pen);
    draw_label(canvas, mark, pen);
  }
  return canvas;
}

Bytes encode_image(const cv::Mat& pixels, const std::string& extension, int quality) {
  if (extension == ".jpg" || extension == ".jpeg") return encode_jpeg(pixels, quality);
  if (extension != ".png" && extension != ".webp" && extension != ".bmp") {
    throw Error("BAD_OPTION", "Expected an image type of .jpg, .jpeg, .png, .webp or .bmp but received " + extension);
  }
  std::vector<int> parameters;
  if (extension == ".webp") parameters = {cv::IMWRITE_WEBP_QUALITY, quality};
  return encode_with_opencv(extension.c_str(), pixels, parameters);
}

}  // namespace edge_infer
