"""Asks a server as the HTTP clients of Triton do: JSON, then the tensors' bytes, and binary outputs."""
import http.client
import json
import struct
import sys


def main(port, picture):
    with open(picture, 'rb') as file:
        data = file.read()
    tensor = struct.pack('<I', len(data)) + data
    header = json.dumps({
        'id': 'from-python',
        'inputs': [{
            'name': 'image', 'shape': [1], 'datatype': 'BYTES', 'parameters': {'binary_data_size': len(tensor)},
        }],
        'outputs': [{'name': name, 'parameters': {'binary_data': True}} for name in ('boxes', 'scores', 'labels')],
    }).encode()
    connection = http.client.HTTPConnection('127.0.0.1', port)
    connection.request('POST', '/v2/models/car_detection/versions/1/infer', header + tensor, {
        'Content-Type': 'application/octet-stream', 'Inference-Header-Content-Length': str(len(header)),
    })
    response = connection.getresponse()
    body = response.read()
    length = int(response.headers['Inference-Header-Content-Length'])
    answer = json.loads(body[:length])
    at = length
    result = {'status': response.status, 'id': answer['id']}
    for output in answer['outputs']:
        size = output['parameters']['binary_data_size']
        result[output['name']] = decode(output, body[at:at + size])
        at += size
    result['left'] = len(body) - at
    print(json.dumps(result))


def decode(output, data):
    if output['datatype'] == 'FP32':
        return list(struct.unpack('<%df' % (len(data) // 4), data))
    texts, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from('<I', data, at)
        texts.append(data[at + 4:at + 4 + length].decode())
        at += 4 + length
    return texts


main(int(sys.argv[1]), sys.argv[2])
