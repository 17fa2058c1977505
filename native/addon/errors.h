#pragma once

#include <napi.h>

#include <string>

#include "error.h"

namespace edge_infer {

/// A JavaScript Error with the code of lib/errors.ts.
inline Napi::Error make_error(Napi::Env env, ErrorCode code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Value().Set("code", name_of(code));
  return error;
}

/// The exception that is being handled, whatever its type, for JavaScript. For use in a catch block.
inline Napi::Error current_js_error(Napi::Env env) {
  try {
    throw;
  } catch (const Napi::Error& error) {
    return error;
  } catch (...) {
    const Failure failure = current_failure();
    return make_error(env, failure.code, failure.message);
  }
}

/// Runs what JavaScript called. Whatever it throws becomes a JavaScript exception.
template <typename Body>
napi_value run_callback(napi_env env, const Body& body) noexcept {
  try {
    try {
      return body();
    } catch (...) {
      current_js_error(env).ThrowAsJavaScriptException();
    }
  } catch (...) {
    // There was no memory for the error, or the JavaScript thread is being terminated and takes none.
    napi_throw_error(env, name_of(ErrorCode::internal), "Out of memory");
  }
  return nullptr;
}

/// A step of tidying up, after which the others must follow whatever it throws.
template <typename Step>
void ignore_failure(const Step& step) noexcept {
  try {
    step();
  } catch (...) {
  }
}

}  // namespace edge_infer
