#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace edge_infer {

/// An error a user can meet. `code` is one of the codes of lib/errors.ts.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

}  // namespace edge_infer
