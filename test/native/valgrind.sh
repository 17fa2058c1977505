#!/usr/bin/env bash
# Runs the core's unit tests, and one pass of each task with the real models, under valgrind. For developers, not for CI:
# it takes some minutes. Needs valgrind, a build with the tests (bash bin/setup --for-tests) and the default models.
#   bash test/native/valgrind.sh [doctest options, such as --test-case='nested*']
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

executable=build/edge_infer_core_test
command -v valgrind >/dev/null || { echo 'valgrind is not installed: apt-get install valgrind' >&2; exit 1; }
[[ -x $executable ]] || { echo "There is no $executable: run bash bin/setup --for-tests" >&2; exit 1; }

# Paths of the models, the runtime and a picture, as the program itself finds them.
eval "$(EDGE_INFER_MODELS="${EDGE_INFER_MODELS:+$EDGE_INFER_MODELS:}../shared/data/models" node --input-type=module -e "
  import { resolveModel, resolveSample } from './dist/lib/models/index.js'
  import { loadRuntime } from './dist/lib/native.js'
  const models = { FACE: 'ultraface-rfb-320', POSE: 'hopenet', CAR: 'yolov8n', HELMET: 'helmet-yolox' }
  for (const [name, model] of Object.entries(models)) {
    const { paths } = await resolveModel(model)
    console.log('export TEST_' + name + '_MODEL=\"' + paths[0] + '\"')
  }
  console.log('export TEST_PICTURE=\"' + (process.env.TEST_PICTURE ?? await resolveSample('faces')) + '\"')
  console.log('export EDGE_INFER_ORT_LIBRARY=\"' + loadRuntime().path + '\"')")"

# OpenCV starts threads for large pictures; ONNX Runtime's kernels for the widest vectors are beyond valgrind.
if [[ $# == 0 ]]; then
  set -- --no-skip
fi
exec valgrind --leak-check=full --show-leak-kinds=definite,possible --errors-for-leak-kinds=definite,possible \
  --suppressions=test/native/valgrind.supp --error-exitcode=99 --num-callers=30 "$executable" "$@"
