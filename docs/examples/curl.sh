#!/usr/bin/env bash
# A node's routes with curl: bash docs/examples/curl.sh URL PHOTO.jpg
set -euo pipefail
if (( $# != 2 )); then
  echo 'usage: bash curl.sh URL PHOTO.jpg' >&2
  exit 2
fi
node=${1%/} photo=$2

request() {
  echo "$1:" >&2
  curl --silent --show-error --fail-with-body --max-time 60 "${@:2}"
  echo
}

request 'services' "$node/get_service_list"

# The plainest form: the file is the body.
request 'faces' --header 'Content-Type: image/jpeg' --data-binary "@$photo" "$node/execute_task_old/face_detection"

# A form: several files of one name make a list, which the task's workers share.
request 'two pictures at once' --form "image=@$photo" --form "image=@$photo" \
  "$node/concurrent_execute_task_new/face_detection"

# Limits are shares of the whole machine. A node with a token wants --header "Authorization: Bearer TOKEN" here.
request 'at most half of the machine for each worker' --json '{"task_name": "face_detection", "cpu_util_limit": 0.5}' \
  "$node/limit_task_resource"
request 'no limit' --json '{"task_name": "face_detection", "cpu_util_limit": 1}' "$node/limit_task_resource"
