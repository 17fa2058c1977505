#include "model/tensor.h"

#include <doctest/doctest.h>

#include "pictures.h"

using namespace edge_infer;

TEST_CASE("a tensor is read as what its elements are") {
  Tensor floats(ElementType::float32, {1, 2}), integers(ElementType::int32, {2}), longs(ElementType::int64, {1, 2});
  for (Tensor* tensor : {&floats, &integers, &longs}) tensor->set(1, -3);
  CHECK(floats.view().data<float>()[1] == -3);
  CHECK(integers.view().data<int32_t>()[1] == -3);
  CHECK(longs.view().data<int64_t>()[1] == -3);
  CHECK(longs.view().data<int64_t>()[0] == 0);
  CHECK(longs.byte_count() == 16);
  CHECK(pictures::error_of([&] { longs.view().data<float>(); }).first == "INTERNAL");
  CHECK(tensors_text({{"a", "float32", {1, -1}}, {"b", "int64", {}}}) == "a float32 1x?, b int64 scalar");
}
