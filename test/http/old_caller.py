"""The callers in use, in small: Python's own HTTP and JSON, OpenCV's JPEGs, the wire form of their days.

usage: old_caller.py URL FRAME.jpg HELMET_FRAME.jpg
Writes one JSON object of what it was answered.
"""
import ast
import json
import sys
import urllib.error
import urllib.request

import cv2
import numpy

URL, FRAME, HELMET_FRAME = sys.argv[1:4]


def encode(image):
    return str(cv2.imencode(".jpg", image)[1].tobytes())


def decode(text):
    return cv2.imdecode(numpy.frombuffer(ast.literal_eval(text), "uint8"), cv2.IMREAD_COLOR)


def post(path, payload, headers={"Content-type": "application/json"}):
    request = urllib.request.Request(URL + path, json.dumps(payload).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as refusal:
        return json.loads(refusal.read())


def execute(task, payload, route="/execute_task/"):
    # The planned memory is less than a worker uses.
    limited = post("/limit_task_resource", {"task_name": task, "cpu_util_limit": 0.9, "mem_util_limit": 0.0001})
    assert isinstance(limited, dict) and limited, limited
    output = post(route + task, payload)
    info = output["proc_resource_info"]
    for key in ("compute_latency", "latency", "cpu_util_use", "mem_util_use", "cpu_util_limit", "mem_util_limit", "pid"):
        assert info[key] + 0 == info[key], (key, info)
    if limited["error"]["code"] != "CGROUP_UNAVAILABLE":
        assert limited["applied"] == ["cpu_util_limit"] and abs(info["cpu_util_limit"] - 0.9) < 0.01, (limited, info)
    assert output["proc_resource_info_list"][0] == info, output["proc_resource_info_list"]
    for each in output["proc_resource_info_list"]:
        assert each["latency"] == each["compute_latency"] <= info["latency"], each
    info["all_latency"] = 0.5
    info["device_ip"] = "10.0.0.1"
    return output


frame = cv2.imread(FRAME)
services = json.loads(urllib.request.urlopen(URL + "/get_service_list").read())
assert "face_detection" in services and "face_alignment" in services and "car_detection" in services, services

found = execute("face_detection", {"image": encode(frame)})
found["task_conf"] = {"fps": 30, "resolution": {"w": frame.shape[1], "h": frame.shape[0]}}
crops = [decode(face) for face in found["faces"]]
posed = execute("face_alignment", found)
older = {"image": encode(frame), "bbox": found["bbox"], "prob": found["prob"]}
posed_older = execute("face_alignment", older)
old = execute("face_detection", {"image": frame.tolist()}, "/execute_task_old/")
old_pose = execute("face_alignment", {**old, "image": frame.tolist()}, "/execute_task_old/")
cars = execute("car_detection", {"image": encode(frame)}, "/execute_task_new/")
many = execute("face_detection", {"image_list": [encode(frame)] * 3}, "/concurrent_execute_task_new/")
faces_many = execute("face_alignment", {"image_list": found["faces"]}, "/concurrent_execute_task_new/")
without_type = post("/execute_task/face_detection", {"image": encode(frame)}, {})
broken = post("/execute_task/face_detection", {"image": "b'\\xff\\xd8 no picture'"})
broken["proc_resource_info"]["compute_latency"] += 1
broken["proc_resource_info_list"][0]["latency"] += 1

result = {
    "faces": len(crops),
    "crops_are_square": all(crop.shape[0] == crop.shape[1] for crop in crops),
    "bbox": found["bbox"],
    "total": posed["count_result"]["total"],
    "up": posed["count_result"]["up"],
    "up_older": posed_older["count_result"]["up"],
    "fps": posed["task_conf"]["fps"],
    "rendered": list(decode(posed_older["image"]).shape),
    "changed_by_drawing": bool((decode(posed_older["image"]).astype(int) - frame).any()),
    "old": [sorted(old), sorted(old_pose), len(old["bbox"]), len(old_pose["head_pose"])],
    "cars_rendered": list(decode(cars["image"]).shape),
    "cars": sum(cars["count_result"].values()) == len(cars["result"]),
    "many": [len(item["bbox"]) for item in many["output_ctx_list"]],
    "many_info": many["proc_resource_info_list"][0]["pid"] > 0,
    "faces_many": len(faces_many["output_ctx_list"]),
    "without_type": len(without_type["bbox"]),
    "broken": [broken["execute_flag"], broken["error"]["code"]],
}
helmet = cv2.imread(HELMET_FRAME)
clip = execute("helmet_detection", {"clip": [encode(helmet), encode(helmet)]})
result["helmets"] = [entry["ntotal"] for entry in clip["clip_result"]]
print(json.dumps(result))
