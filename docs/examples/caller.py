"""A caller in Python, nothing but its standard library, with images in the document's own form.

usage: python3 caller.py URL PHOTO.jpg

An image travels as the text of a Python bytes literal, str(jpeg_bytes), in JSON. What one task answers is, as it
stands, the input of the next.
"""
import ast
import json
import sys
import time
import urllib.error
import urllib.request


def post(url, payload):
    """The JSON that is answered; refusals are JSON as well."""
    body = json.dumps(payload).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as refusal:
        return json.loads(refusal.read())


def execute(node, task, payload):
    begin = time.monotonic()
    output = post(f"{node}/execute_task/{task}", payload)
    if not output["execute_flag"]:
        sys.exit(f"{task}: {output['error']}")
    info = output["proc_resource_info"]
    info["all_latency"] = time.monotonic() - begin
    print(f"{task}: {info['all_latency'] * 1000:.0f} ms, {info['compute_latency'] * 1000:.0f} ms of them computing, "
          f"in process {info['pid']} with {info['cpu_util_use']:.0%} of the CPU (limit {info['cpu_util_limit']:.0%})")
    return output


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: python3 caller.py URL PHOTO.jpg")
    node, photo = sys.argv[1].rstrip("/"), sys.argv[2]
    with open(photo, "rb") as file:
        jpeg = file.read()

    with urllib.request.urlopen(f"{node}/get_service_list", timeout=60) as response:
        print("services:", ", ".join(json.load(response)))

    found = execute(node, "face_detection", {"image": str(jpeg)})
    crops = [ast.literal_eval(face) for face in found["faces"]]  # JPEG files; never eval() what a network sent
    print(f"  {len(crops)} faces, cut out into {sum(map(len, crops))} bytes of JPEG")

    posed = execute(node, "face_alignment", found)
    print(f"  {posed['count_result']['up']} of {posed['count_result']['total']} look up")
    for (x1, y1, x2, y2), (yaw, pitch, roll, *_) in zip(posed["bbox"], posed["head_pose"]):
        print(f"  ({x1:.0f}, {y1:.0f})-({x2:.0f}, {y2:.0f})  yaw {yaw:.0f}, pitch {pitch:.0f}, roll {roll:.0f} degrees")


main()
