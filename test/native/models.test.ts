/** Model files of every kind that is not as it should be. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { native, type ModelFamily, type NativeSession, type NativeSessionOptions } from '../../lib/native.js'
import { constantModel, sparse, writeConstantModel, type OutputSpec, type TensorSpec } from '../helpers/onnx.js'

const directory = t.testdir()
let written = 0

const OPTIONS = {
  preprocessing: { resize: 'stretch', channelOrder: 'rgb', mean: [0, 0, 0], scale: [1, 1, 1], pad: 0 },
  device: { kind: 'cpu', index: 0 }, fallbackToCpu: false, intraOpThreads: 1, allowSpinning: false, concurrency: 1,
} as const satisfies Partial<NativeSessionOptions>

function file(input: TensorSpec | readonly TensorSpec[], ...outputs: OutputSpec[]): string {
  const inputs = Array.isArray(input) ? (input as readonly TensorSpec[]) : [input as TensorSpec]
  return writeConstantModel(join(directory, `${written++}.onnx`), inputs, outputs)
}

function load(path: string, family: ModelFamily, more: Partial<NativeSessionOptions> = {}): Promise<NativeSession> {
  return native.createSession({ ...OPTIONS, modelPaths: [path], family, ...more })
}

const image = (width: number, height: number) =>
  ({ kind: 'raw', data: new Uint8Array(width * height * 3), width, height, channels: 3, order: 'rgb' }) as const
const detect = { scoreThreshold: 0.25, iouThreshold: 0.45, maxDetections: 10 }
const square: TensorSpec = { name: 'images', shape: [1, 3, 64, 64] }
/** 64 × 64: 84 cells, three anchors each. */
const yolov5 = (classes: number, values?: Float32Array): OutputSpec =>
  ({ name: 'output', shape: [1, 252, 5 + classes], values })

t.test('YOLOv5: boxes come back in pixels of the frame', async (t) => {
  const row = 7 * 100
  const values = sparse(
    [1, 252, 7], [row, 32], [row + 1, 16], [row + 2, 8], [row + 3, 8], [row + 4, 0.8], [row + 6, 0.9],
  )
  const session = await load(file(square, yolov5(2, values)), 'yolov5', { classCount: 2 })
  const found = await session.detect(image(128, 64), detect, 1)
  t.strictSame([...found.boxes], [56, 12, 72, 20])
  t.strictSame([...found.classIds], [1])
  t.ok(Math.abs((found.scores[0] ?? 0) - 0.72) < 1e-6)
  t.equal((await session.detect(image(128, 64), { ...detect, classes: [0] }, 2)).scores.length, 0)
  await t.rejects(session.headPose([image(1, 1)], { margin: 0 }, 3), { code: 'BAD_REQUEST' })
  await session.close()
})

t.test('open batch, height and width are set by the input size', async (t) => {
  const open: TensorSpec = { name: 'images', shape: ['batch', 3, 'height', 'width'] }
  const path = file(open, yolov5(1))
  await t.rejects(load(path, 'yolov5'), {
    code: 'MODEL_LOAD', message: /float32 1x3xHxW but has images float32 \?x3x\?x\?.*open: give an input size/,
  })
  const session = await load(path, 'yolov5', { inputSize: { width: 64, height: 64 } })
  t.strictSame(session.inputs, [{ name: 'images', type: 'float32', shape: [-1, 3, -1, -1] }])
  t.equal((await session.detect(image(10, 10), detect, 1)).scores.length, 0)
  await session.close()
  await t.rejects(load(path, 'yolov5', { inputSize: { width: 96, height: 64 } }), {
    code: 'MODEL_LOAD', message: /1x378x\(5 \+ classes\) but has output float32 1x252x6/,
  })
  const letterbox = { ...OPTIONS.preprocessing, resize: 'letterbox-center' as const }
  await t.rejects(load(path, 'yolov5', { inputSize: { width: 100, height: 64 }, preprocessing: letterbox }), {
    code: 'BAD_OPTION', message: /in steps of 32 pixels but received 100 x 64/,
  })
  await t.rejects(load(file(square, yolov5(1)), 'yolov5', { inputSize: { width: 96, height: 64 } }), {
    code: 'BAD_OPTION', message: /own input, 64 x 64, or no input size, but received 96 x 64/,
  })
})

t.test('inputs that are no picture are refused with both shapes', async (t) => {
  const inputs: [TensorSpec | TensorSpec[], RegExp][] = [
    [{ ...square, type: 'float16' }, /float32 1x3xHxW but has images float16 1x3x64x64/],
    [{ ...square, type: 'uint8' }, /uint8 1x3x64x64/],
    [{ name: 'images', shape: [1, 64, 64, 3] }, /float32 1x64x64x3/],
    [{ name: 'images', shape: [2, 3, 64, 64] }, /float32 2x3x64x64/],
    [{ name: 'images', shape: [3, 64, 64] }, /float32 3x64x64/],
    [[square, { name: 'more', shape: [1] }], /images float32 1x3x64x64, more float32 1/],
  ]
  for (const [input, message] of inputs) {
    await t.rejects(load(file(input, yolov5(1)), 'yolov5'), { code: 'MODEL_LOAD', message })
  }
})

t.test('outputs of another family, size or number of classes are refused with both shapes', async (t) => {
  const path = file(square, yolov5(2))
  await t.rejects(load(path, 'yolov5', { classCount: 80 }), {
    code: 'MODEL_LOAD',
    message: 'A model of the family yolov5 must have the outputs 1x252x85 but has output float32 1x252x7',
  })
  await t.rejects(
    load(path, 'yolov8'), { code: 'MODEL_LOAD', message: /1x\(4 \+ classes\)x84 but has output float32 1x252x7/ },
  )
  await t.rejects(load(path, 'yolox'), { code: 'MODEL_LOAD', message: /1x84x\(5 \+ classes\)/ })
  await t.rejects(load(path, 'ultraface'), { code: 'MODEL_LOAD', message: /x2 \(scores\) and .*x4 \(boxes\)/ })
  await t.rejects(load(path, 'hopenet'), { code: 'MODEL_LOAD', message: /1x66, 1x66 and 1x66/ })
  await t.rejects(load(path, 'fsanet'), { code: 'MODEL_LOAD', message: /1x3 \(yaw, pitch, roll\)/ })
  const integers = { name: 'output', shape: [1, 252, 7], values: new BigInt64Array(252 * 7) }
  await t.rejects(load(file(square, integers), 'yolov5'), {
    code: 'MODEL_LOAD', message: /output must be float32 but is int64/,
  })
  await t.rejects(
    load(path, 'yolov11'),
    { code: 'BAD_OPTION', message: /yolov8, yolov8-raw, yolov5, .*received yolov11/ },
  )
})

t.test('several models are averaged where they are of one size', async (t) => {
  const pose = (size: number, ...angles: number[]): string =>
    file(
      { name: 'input', shape: [1, 3, size, size] }, { name: 'pose', shape: [1, 3], values: Float32Array.from(angles) },
    )
  const session = await native.createSession(
    { ...OPTIONS, family: 'fsanet', modelPaths: [pose(64, 10, 20, 30), pose(64, 20, 0, -30)] },
  )
  t.strictSame(
    [...(await session.headPose([image(9, 9), image(5, 7)], { margin: 0 }, 1)).angles], [15, 10, 0, 15, 10, 0],
  )
  await session.close()
  await t.rejects(native.createSession({
    ...OPTIONS, family: 'fsanet', modelPaths: [pose(64, 1, 1, 1), pose(32, 1, 1, 1)],
  }), {
    code: 'MODEL_LOAD', message: /one size/,
  })
  const path = file(square, yolov5(1))
  await t.rejects(
    native.createSession({ ...OPTIONS, family: 'yolov5', modelPaths: [path, path] }), { code: 'BAD_OPTION' },
  )
  await t.rejects(native.createSession({ ...OPTIONS, family: 'yolov5', modelPaths: [] }), { code: 'BAD_OPTION' })
})

t.test('what is no model file', async (t) => {
  const path = (name: string, content: Uint8Array | string): string => {
    writeFileSync(join(directory, name), content)
    return join(directory, name)
  }
  const whole = constantModel([square], [yolov5(1)])
  mkdirSync(join(directory, 'folder.onnx'))
  for (const name of [
    path('empty.onnx', ''), path('text.onnx', 'this is no model'),
    path('cut.onnx', whole.subarray(0, whole.length / 2)),
    path('zeros.onnx', Buffer.alloc(1000)), join(directory, 'absent.onnx'), join(directory, 'folder.onnx'),
  ]) {
    await t.rejects(load(name, 'yolov5'), { code: 'MODEL_LOAD', message: /cannot load the model/ }, name)
  }
})

t.test('a provider the runtime lacks is named, or the CPU stands in for it', async (t) => {
  const path = file(square, yolov5(1))
  for (const kind of ['cuda', 'tensorrt'] as const) {
    const device = { kind, index: 0 }
    await t.rejects(load(path, 'yolov5', { device }), {
      code: 'PROVIDER_UNAVAILABLE', message: /lists .*CPUExecutionProvider/,
    })
    const session = await load(
      path, 'yolov5', { device, fallbackToCpu: true, tensorrt: { fp16: true, engineCacheDirectory: directory } },
    )
    t.equal(session.provider, 'CPUExecutionProvider')
    t.match(session.warnings, [/^The CPU is used instead\. /])
    await session.close()
  }
})
