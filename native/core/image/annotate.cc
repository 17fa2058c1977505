#include "image/annotate.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "error.h"

namespace edge_infer {
namespace {

const cv::Scalar& colour_of(int class_id) {
  // Distinct on light and dark ground, and for most kinds of colour blindness (BGR).
  static const cv::Scalar kColours[] = {{0, 158, 230}, {178, 114, 0},  {115, 158, 0}, {167, 121, 204},
                                        {0, 94, 213},  {233, 180, 86}, {66, 228, 240}};
  constexpr int count = sizeof kColours / sizeof kColours[0];
  return kColours[(class_id % count + count) % count];
}

/// White or black, whichever stands out on the colour (relative luminance of ITU-R BT.709).
cv::Scalar text_colour_on(const cv::Scalar& colour) {
  const double luminance = 0.0722 * colour[0] + 0.7152 * colour[1] + 0.2126 * colour[2];
  return luminance > 110 ? cv::Scalar(0, 0, 0) : cv::Scalar(255, 255, 255);
}

/// Widths in pixels, and the scale of the font.
struct Pen {
  int line;
  double font;
  int text_line;
  int padding;
};

Pen pen_for(const cv::Mat& pixels) {
  const int side = std::max(pixels.cols, pixels.rows);
  const double font = std::max(0.4, side / 1900.0);
  return {std::max(1, cvRound(side / 400.0)), font, std::max(1, cvRound(1.5 * font)), std::max(2, cvRound(5 * font))};
}

cv::Rect pixels_of(const Box& box) {
  const cv::Point corner(cvFloor(box.x1), cvFloor(box.y1));
  return {corner, cv::Point(cvCeil(box.x2), cvCeil(box.y2))};
}

/// Where labels go: at their box, and neither on each other nor, if it can be helped, on another small object.
class LabelPlaces {
 public:
  LabelPlaces(const cv::Size& canvas, const std::vector<Mark>& marks) : canvas_(canvas) {
    for (const Mark& mark : marks) objects_.push_back(pixels_of(mark.box));
  }

  /// Empty where every place at the box has been taken.
  cv::Rect take(const cv::Rect& object, const cv::Size& label) {
    for (const bool spare_objects : {true, false}) {
      for (const cv::Rect& place : candidates(object, label)) {
        if (overlaps(place, taken_) || (spare_objects && hides(place, object))) continue;
        taken_.push_back(place);
        return place;
      }
    }
    return {};
  }

 private:
  /// Best first: above, below, then inside the box; from its left edge, then up to its right one.
  std::vector<cv::Rect> candidates(const cv::Rect& object, const cv::Size& label) const {
    const int rightmost = std::max(0, canvas_.width - label.width), lowest = canvas_.height - label.height;
    std::vector<cv::Rect> places;
    for (const int y : {object.y - label.height, object.br().y, object.y, object.br().y - label.height}) {
      if (y < 0 || y > lowest) continue;
      for (const int x : {object.x, object.br().x - label.width}) {
        places.push_back({{std::clamp(x, 0, rightmost), y}, label});
      }
    }
    return places;
  }

  static bool overlaps(const cv::Rect& place, const std::vector<cv::Rect>& others) {
    return std::any_of(others.begin(), others.end(), [&](const cv::Rect& other) { return (place & other).area() > 0; });
  }

  /// A large object shows beside a label, a small one would be gone.
  bool hides(const cv::Rect& place, const cv::Rect& own) const {
    return std::any_of(objects_.begin(), objects_.end(), [&](const cv::Rect& other) {
      return other != own && 4 * (place & other).area() > other.area();
    });
  }

  cv::Size canvas_;
  std::vector<cv::Rect> objects_;
  std::vector<cv::Rect> taken_;
};

void draw_label(cv::Mat& canvas, const Mark& mark, const Pen& pen, LabelPlaces& places) {
  if (mark.label.empty()) return;
  int descent = 0;
  const cv::Size text = cv::getTextSize(mark.label, cv::FONT_HERSHEY_SIMPLEX, pen.font, pen.text_line, &descent);
  const cv::Size size(text.width + 2 * pen.padding, text.height + descent / 2 + 2 * pen.padding);
  const cv::Rect place = places.take(pixels_of(mark.box), size);
  if (place.empty()) return;
  const cv::Scalar& colour = colour_of(mark.class_id);
  cv::rectangle(canvas, place, colour, cv::FILLED);
  const cv::Point baseline(place.x + pen.padding, place.y + pen.padding + text.height);
  cv::putText(canvas, mark.label, baseline, cv::FONT_HERSHEY_SIMPLEX, pen.font, text_colour_on(colour), pen.text_line,
              cv::LINE_AA);
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
                  colour_of(mark.class_id), pen.line, cv::LINE_AA);
  }
  for (const Mark& mark : marks) {
    if (mark.pose) draw_pose(canvas, mark, *mark.pose, pen);
  }
  LabelPlaces places(canvas.size(), marks);
  for (const Mark& mark : marks) draw_label(canvas, mark, pen, places);
  return canvas;
}

Bytes encode_image(const cv::Mat& pixels, const std::string& extension, int quality) {
  if (extension == ".jpg" || extension == ".jpeg") return encode_jpeg(pixels, quality);
  if (extension != ".png" && extension != ".webp" && extension != ".bmp") {
    throw Error(ErrorCode::bad_option,
                "Expected an image type of .jpg, .jpeg, .png, .webp or .bmp but received " + extension);
  }
  std::vector<int> parameters;
  if (extension == ".webp") parameters = {cv::IMWRITE_WEBP_QUALITY, quality};
  return encode_with_opencv(extension.c_str(), pixels, parameters);
}

}  // namespace edge_infer
