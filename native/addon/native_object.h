#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "convert.h"
#include "errors.h"

namespace edge_infer {

/// A JavaScript object around a `Core` that several threads may share. Only wrap() makes one. `T` names itself in
/// `kName` and its maker in `kMaker`, and tells its objects from all others by `kTypeTag`.
template <typename T, typename Core>
class NativeObject : public Napi::ObjectWrap<T> {
 public:
  explicit NativeObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<T>(info), core_(core_of(info)) {
    info.This().template As<Napi::Object>().TypeTag(&T::kTypeTag);
  }

  static Napi::Value wrap(const Napi::FunctionReference& constructor, std::shared_ptr<Core> core) {
    auto external = Napi::External<std::shared_ptr<Core>>::New(constructor.Env(), &core);
    external.TypeTag(&T::kTypeTag);
    return constructor.New({external});
  }

  /// Throws a TypeError for any value that is no such object.
  static T* Unwrap(const Napi::Value& value) {
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&T::kTypeTag)) wrong_type(value, T::kName);
    return Napi::ObjectWrap<T>::Unwrap(value.As<Napi::Object>());
  }

 protected:
  using Descriptor = Napi::ClassPropertyDescriptor<T>;

  template <Napi::Value (T::*function)(const Napi::CallbackInfo&)>
  static Descriptor method(const char* name) {
    return napi_property_descriptor{name, nullptr, call<function>, nullptr, nullptr, nullptr, napi_default, nullptr};
  }

  template <Napi::Value (T::*function)(const Napi::CallbackInfo&)>
  static Descriptor accessor(const char* name) {
    return napi_property_descriptor{name, nullptr, nullptr, call<function>, nullptr, nullptr, napi_default, nullptr};
  }

  const std::shared_ptr<Core>& core() const { return core_; }

 private:
  template <Napi::Value (T::*function)(const Napi::CallbackInfo&)>
  static napi_value call(napi_env env, napi_callback_info raw) noexcept {
    return run_callback(env, [&]() -> napi_value {
      const Napi::CallbackInfo info(env, raw);
      return (Unwrap(info.This())->*function)(info);
    });
  }

  static std::shared_ptr<Core> core_of(const Napi::CallbackInfo& info) {
    const Napi::Value given = info[0];
    if (!given.IsExternal() || !given.As<Napi::External<std::shared_ptr<Core>>>().CheckTypeTag(&T::kTypeTag)) {
      throw Napi::TypeError::New(info.Env(), std::string("Expected ") + T::kMaker + "() to make " + T::kName);
    }
    return *given.As<Napi::External<std::shared_ptr<Core>>>().Data();
  }

  std::shared_ptr<Core> core_;
};

}  // namespace edge_infer
