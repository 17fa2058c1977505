/** The load's requests with their right answers: the library's, or those of the nodes before anything disturbs them. */
import { createTask } from '../../lib/index.js'
import { helmetBoxes } from '../helpers/models.js'
import { face, people, sample, street } from '../helpers/pictures.js'
import { json, makeShots, type Shot } from '../http/shots.js'
import { TEXT_FORMS } from '../http/server.js'

export interface Known {
  /** Task and wire form. */
  kind: string
  task: string
  path: string
  headers: Record<string, string>
  body: Buffer
  status: number
  /** Learned from a node that nothing disturbs where it is not there. */
  expected: Record<string, unknown> | undefined
  weight: number
}

export const pictures = { people, street, face, faces: await sample('faces') }

/** Everything that is posted by hand. */
export async function knownRequests(): Promise<Known[]> {
  const files = Object.values(pictures)
  const shots = await makeShots(files)
  return [
    ...shots.map(fromShot), ...await newForm(files), ...mixedLists(files), ...forms(), ...protocol(), ...helmets(),
  ]
}

function fromShot({ path, type, body, expected, weight }: Shot): Known {
  const [route = '', task = ''] = path.split('/').slice(1)
  const isBroken = expected['execute_flag'] === false
  const form = type === 'application/json' ? 'JSON' : isBroken ? 'broken picture' : 'raw'
  return {
    kind: `${task} ${route === 'concurrent_execute_task_new' ? 'concurrent' : form}`, task, path,
    headers: { 'content-type': type }, body,
    status: isBroken ? 400 : 200, expected: isBroken ? { execute_flag: false, error: { code: 'BAD_IMAGE' } } : expected,
    weight: isBroken ? 3 : weight,
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }

/** Crops come back in the form of the request, each the same bytes as the library's. */
async function newForm(files: readonly Buffer[]): Promise<Known[]> {
  await using faces = await createTask('face_detection', { threads: 1 })
  const known: Known[] = []
  for (const file of files) {
    const { objects } = await faces.run(file, { crops: true })
    for (const form of ['base64', 'literal', 'latin1'] as const) {
      const encode = TEXT_FORMS[form]
      known.push({
        kind: `face_detection ${form}`, task: 'face_detection', path: '/execute_task/face_detection',
        headers: JSON_TYPE, body: json({ image: encode(file) }), status: 200, weight: 8,
        expected: {
          faces: objects.map(({ crop }) => encode(crop as Buffer)), bbox: objects.map(({ box }) => box),
          prob: objects.map(({ score }) => score),
        },
      })
    }
  }
  return known
}

/** Different pictures in one request: their answers must not change places. */
function mixedLists(files: readonly Buffer[]): Known[] {
  const orders = files.map((_, first) => [...files.slice(first), ...files.slice(0, first)])
  const some = { face_detection: orders, car_detection: orders.slice(0, 1) }
  return Object.entries(some).flatMap(([task, lists]) => lists.map((order) => ({
    kind: `${task} concurrent`, task, path: `/concurrent_execute_task_new/${task}`, headers: JSON_TYPE,
    body: json({ image_list: order.map(TEXT_FORMS.base64) }), status: 200, weight: 3, expected: undefined,
  })))
}

/** One file a part. */
function forms(): Known[] {
  const boundary = 'chaos-boundary'
  const part = (name: string, file: Buffer): Buffer[] => [
    Buffer.from([
      `--${boundary}`, `Content-Disposition: form-data; name="${name}"; filename="a.jpg"`, 'Content-Type: image/jpeg',
      '', '',
    ].join('\r\n')),
    file, Buffer.from('\r\n'),
  ]
  return Object.values(pictures).flatMap((file) => ['face_detection', 'car_detection'].map((task) => ({
    kind: `${task} multipart`, task, path: `/execute_task/${task}`,
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([...part('image', file), Buffer.from(`--${boundary}--\r\n`)]), status: 200,
    weight: task === 'car_detection' ? 1 : 6, expected: undefined,
  })))
}

/** The Open Inference Protocol, the picture behind the JSON. */
function protocol(): Known[] {
  return Object.values(pictures).map((file) => {
    const element = Buffer.alloc(4 + file.length)
    element.writeUInt32LE(file.length)
    file.copy(element, 4)
    const head = json({
      inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', parameters: { binary_data_size: element.length } }],
    })
    return {
      kind: 'face_detection OIP', task: 'face_detection', path: '/v2/models/face_detection/infer',
      status: 200, weight: 6,
      headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(head.length) },
      body: Buffer.concat([head, element]), expected: undefined,
    }
  })
}

function helmets(): Known[] {
  const boxes = [...helmetBoxes(1280, 720), ...helmetBoxes(450, 450)]
  return [{
    kind: 'helmet_detection JSON', task: 'helmet_detection', path: '/execute_task/helmet_detection', headers: JSON_TYPE,
    body: json({ image_list: [people, face].map(TEXT_FORMS.base64) }), status: 200, weight: 10,
    expected: { bbox_list: boxes, clip_result: [{ ntotal: 2, n_no_helmet: 1 }, { ntotal: 2, n_no_helmet: 1 }] },
  }]
}
