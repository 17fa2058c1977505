# Finds ONNX Runtime's C++ headers; the library itself is loaded when the program runs.
#
# Looked at, in this order:
#   -DONNXRUNTIME_ROOT=…          an unpacked release, or any prefix with the headers in it
#   the environment's ONNXRUNTIME_ROOT
#   /usr and /usr/local           an installed package
#   .cache/onnxruntime-headers    what bin/setup fetched
#
# Gives the target OnnxRuntime::Headers and OnnxRuntimeHeaders_INCLUDE_DIR, _VERSION (the number of the API).

set(_suffixes include/onnxruntime include/onnxruntime/core/session include usr/include/onnxruntime)
set(_fetched "${CMAKE_CURRENT_LIST_DIR}/../../.cache/onnxruntime-headers")
get_filename_component(_fetched "${_fetched}" ABSOLUTE)

# A root that was named and does not hold the headers is an error, not a reason to take others.
if(ONNXRUNTIME_ROOT)
  set(_roots "${ONNXRUNTIME_ROOT}")
elseif(NOT "$ENV{ONNXRUNTIME_ROOT}" STREQUAL "")
  set(_roots "$ENV{ONNXRUNTIME_ROOT}")
else()
  set(_roots /usr /usr/local "${_fetched}")
endif()

# Not kept from an earlier configuration: the headers may have moved since.
unset(OnnxRuntimeHeaders_INCLUDE_DIR CACHE)
find_path(OnnxRuntimeHeaders_INCLUDE_DIR onnxruntime_cxx_api.h
  PATHS ${_roots} PATH_SUFFIXES ${_suffixes} NO_DEFAULT_PATH)

if(OnnxRuntimeHeaders_INCLUDE_DIR)
  file(STRINGS "${OnnxRuntimeHeaders_INCLUDE_DIR}/onnxruntime_c_api.h" _api REGEX "^#define ORT_API_VERSION [0-9]+")
  string(REGEX REPLACE ".* ([0-9]+).*" "\\1" OnnxRuntimeHeaders_VERSION "${_api}")
endif()

string(REPLACE ";" ", " _looked "${_roots}")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OnnxRuntimeHeaders
  REQUIRED_VARS OnnxRuntimeHeaders_INCLUDE_DIR
  VERSION_VAR OnnxRuntimeHeaders_VERSION
  FAIL_MESSAGE "onnxruntime_cxx_api.h was not found under ${_looked}. Run \"bash bin/setup\", which fetches it, or give the directory of an unpacked ONNX Runtime release: -DONNXRUNTIME_ROOT=… or the environment's ONNXRUNTIME_ROOT")

if(OnnxRuntimeHeaders_FOUND AND NOT TARGET OnnxRuntime::Headers)
  add_library(OnnxRuntime::Headers INTERFACE IMPORTED)
  set_target_properties(OnnxRuntime::Headers PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${OnnxRuntimeHeaders_INCLUDE_DIR}")
endif()
mark_as_advanced(OnnxRuntimeHeaders_INCLUDE_DIR)
