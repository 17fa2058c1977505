import t from 'tap'
import { OnnxModel } from '../../lib/models/onnx/model.js'
import { encodeField, encodeVarintField } from '../../lib/models/onnx/protobuf.js'

void t.test('fields of another wire type than ONNX gives them are none that are known', (t) => {
  const node = Buffer.concat([encodeField(2, 'out'), encodeVarintField(5, 1), encodeField(5, encodeField(1, 'axis'))])
  const graph = Buffer.concat([encodeField(1, node), encodeVarintField(1, 7), encodeVarintField(12, 7)])
  const file = Buffer.concat([encodeField(7, graph), encodeVarintField(8, 13), encodeVarintField(14, 1)])
  const model = new OnnxModel(file)
  t.strictSame(model.nodes.map(({ outputs, attributes }) => [outputs, [...attributes.keys()]]), [[['out'], ['axis']]])
  t.strictSame([model.outputs, model.opset, model.metadata.size], [[], 1, 0])
  t.throws(() => new OnnxModel(encodeVarintField(7, 1)), { name: 'RangeError', message: 'The file has no ONNX graph' })
  t.end()
})
