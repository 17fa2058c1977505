import t from 'tap'
import { parseModelContext } from '../../lib/tasks/model-context.js'

t.test('the callers\' names become options; what is absent, null or unknown asks for nothing', (t) => {
  t.strictSame(parseModelContext({
    weights: 'yolov5s.pt', device: 'cuda:1', conf_thres: 0, iou_thres: 1, max_det: 5, classes: [2, 7], threads: 2,
    input_size: [480, 640], half: true, model: 'other',
  }), {
    model: 'yolov5s.pt', device: 'cuda:1', scoreThreshold: 0, iouThreshold: 1, maxDetections: 5, classes: [2, 7],
    threads: 2, inputSize: { width: 640, height: 480 },
  })
  t.strictSame(parseModelContext({ input_size: 320 }), { inputSize: 320 })
  const nothing = [undefined, null, {}, { weights: null, classes: null, conf_thres: undefined }]
  t.strictSame(nothing.map(parseModelContext), [{}, {}, {}, {}])
  t.end()
})

t.test('a wrong value is named, with what was expected and received', (t) => {
  const wrong: [unknown, RegExp][] = [
    ['yolov8n', /an object for model_ctx but received "yolov8n"/],
    [[1], /an object for model_ctx/],
    [{ weights: '' }, /weights/],
    [{ weights: 3 }, /weights but received 3 of type number/],
    [{ device: 'gpu' }, /./],
    [{ device: 0 }, /./],
    [{ conf_thres: 1.01 }, /from 0 to 1 for conf_thres but received 1.01/],
    [{ conf_thres: NaN }, /conf_thres/],
    [{ iou_thres: '0.4' }, /iou_thres but received "0.4" of type string/],
    [{ max_det: 0 }, /max_det/],
    [{ max_det: 2.5 }, /max_det/],
    [{ classes: [] }, /classes/],
    [{ classes: 'car' }, /classes/],
    [{ classes: [0, -1] }, /classes/],
    [{ input_size: 7 }, /input_size/],
    [{ input_size: [640] }, /input_size/],
    [{ input_size: [640, null] }, /input_size/],
    [{ threads: 0 }, /threads/],
  ]
  for (const [context, message] of wrong) {
    t.throws(() => parseModelContext(context), { code: 'BAD_MODEL_CTX', status: 400, message }, JSON.stringify(context))
  }
  t.end()
})
