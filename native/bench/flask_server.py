"""A server as such systems are written with Flask: the frame as a Python literal in JSON, OpenCV for the rest.

    python3 flask_server.py MODEL WIDTH HEIGHT SCORE IOU WORKERS

Reads UltraFace with decoded boxes. Prints a line of JSON with its port and versions when it is ready, and ends when its
standard input closes. Requests are taken by threads of one process and run by worker processes over pipes.
"""
import ast
import json
import multiprocessing
import os
import queue
import socket
import sys
import threading
import time

import cv2
import flask
import numpy

MEAN, SCALE = 127.0, 1 / 128


def work(pipe, model, size, score, iou):
    cv2.setNumThreads(1)
    network = cv2.dnn.readNetFromONNX(model)
    outputs = network.getUnconnectedOutLayersNames()
    while True:
        literal = pipe.recv()
        begin = time.perf_counter()
        frame = cv2.imdecode(numpy.frombuffer(ast.literal_eval(literal), numpy.uint8), cv2.IMREAD_COLOR)
        network.setInput(cv2.dnn.blobFromImage(frame, SCALE, size, (MEAN, MEAN, MEAN), swapRB=True))
        first, second = network.forward(outputs)
        scores, boxes = (first, second) if first.shape[-1] == 2 else (second, first)
        pipe.send((select(scores[0, :, 1], boxes[0], frame.shape, score, iou), time.perf_counter() - begin))


def select(scores, boxes, shape, score, iou):
    height, width = shape[:2]
    sure = scores > score
    scores, boxes = scores[sure], boxes[sure] * (width, height, width, height)
    corners = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in boxes.tolist()]
    kept = cv2.dnn.NMSBoxes(corners, scores.tolist(), score, iou)
    kept = [int(index) for index in numpy.array(kept).flatten()]
    return [boxes[index].tolist() for index in kept], [float(scores[index]) for index in kept]


def main(model, width, height, score, iou, workers):
    idle = queue.Queue()
    for _ in range(workers):
        ours, theirs = multiprocessing.Pipe()
        multiprocessing.Process(target=work, args=(theirs, model, (width, height), score, iou), daemon=True).start()
        idle.put(ours)

    app = flask.Flask(__name__)

    @app.route('/execute_task_old/face_detection', methods=['POST'])
    def face_detection():
        worker = idle.get()
        try:
            worker.send(flask.request.get_json(force=True)['image'])
            (bbox, prob), latency = worker.recv()
        finally:
            idle.put(worker)
        return flask.jsonify({'bbox': bbox, 'prob': prob, 'execute_flag': True,
                              'proc_resource_info': {'compute_latency': latency}})

    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    threading.Thread(target=announce, args=(port, sys.stdout), daemon=True).start()
    # Flask's own banner is no line of JSON.
    sys.stdout = sys.stderr
    threading.Thread(target=end_with_input, daemon=True).start()
    app.run('127.0.0.1', port, threaded=True)


def announce(port, out):
    while True:
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    print(json.dumps({'port': port, 'flask': flask.__version__, 'opencv': cv2.__version__}), file=out, flush=True)


def end_with_input():
    sys.stdin.read()
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(0)


if __name__ == '__main__':
    sys.stderr = open(os.devnull, 'w') if os.environ.get('QUIET') else sys.stderr
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]))
