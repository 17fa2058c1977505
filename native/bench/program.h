#pragma once

/// What the programs of the bench have in common: arguments as name=value, and the talk over standard input and output.
/// It shares no code with the core.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <opencv2/core/mat.hpp>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double milliseconds(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

/// A name may be given more than once.
class Arguments {
 public:
  Arguments(int count, char** values) {
    for (int i = 1; i < count; ++i) {
      const std::string argument = values[i];
      const size_t equals = argument.find('=');
      if (equals == std::string::npos) throw std::runtime_error("Expected name=value but received " + argument);
      values_.emplace(argument.substr(0, equals), argument.substr(equals + 1));
    }
  }

  /// The first of that name. Throws where there is none and no fallback.
  std::string text(const std::string& name, const char* fallback = nullptr) const {
    const auto found = values_.find(name);
    if (found != values_.end()) return found->second;
    if (!fallback) throw std::runtime_error("Expected " + name + "=…");
    return fallback;
  }

  double number(const std::string& name, const char* fallback = nullptr) const {
    return std::atof(text(name, fallback).c_str());
  }

  int whole(const std::string& name, const char* fallback = nullptr) const {
    return static_cast<int>(number(name, fallback));
  }

  std::vector<std::string> all(const std::string& name) const {
    std::vector<std::string> texts;
    const auto range = values_.equal_range(name);
    for (auto entry = range.first; entry != range.second; ++entry) texts.push_back(entry->second);
    return texts;
  }

 private:
  std::multimap<std::string, std::string> values_;
};

/// A picture's file, in memory.
class Picture {
 public:
  explicit Picture(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("Cannot read " + path);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    if (decode().empty()) throw std::runtime_error("Cannot decode " + path);
  }

  /// Every pixel, as OpenCV does it.
  cv::Mat decode() const { return cv::imdecode(bytes_, cv::IMREAD_COLOR); }

 private:
  std::vector<uchar> bytes_;
};

inline void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

/// JSON of durations: {"total": 1.5, …}.
inline std::string times(const std::vector<std::pair<const char*, double>>& values) {
  std::string json;
  for (const auto& [name, value] : values) {
    char part[100];
    std::snprintf(part, sizeof part, "%s\"%s\": %.4f", json.empty() ? "{" : ", ", name, value);
    json += part;
  }
  return json + "}";
}

/// Says `greeting`, then what `answer` gives for each line that is read.
template <typename Answer>
void converse(const std::string& greeting, Answer answer) {
  say(greeting);
  for (std::string line; std::getline(std::cin, line);) say(answer(line));
}

inline int run(int count, char** values, void (*serve)(const Arguments&)) {
  try {
    serve(Arguments(count, values));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace bench
