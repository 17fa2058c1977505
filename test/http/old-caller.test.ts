/** The old callers' exact wire form, spoken by Python and its OpenCV, against a server with real models. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { HELMETS, useConstantHelmets } from '../helpers/models.js'
import { face, people } from '../helpers/pictures.js'
import { startServer } from './server.js'

const SCRIPT = new URL('../../../test/http/old_caller.py', import.meta.url).pathname
/** The one that Debian's python3-opencv belongs to. */
const PYTHON = '/usr/bin/python3'

t.test('every step of the pipeline', async (t) => {
  useConstantHelmets(t)
  const { url, workers } = await startServer(t, {
    tasks: {
      face_detection: { workers: 2 },
      face_alignment: { workers: 1 },
      car_detection: { workers: 1 },
      helmet_detection: { workers: 1 },
    },
    rendered: ['car_detection'],
  })
  const directory = t.testdir()
  const [frame, helmet] = [join(directory, 'frame.jpg'), join(directory, 'helmet.jpg')]
  writeFileSync(frame, people)
  writeFileSync(helmet, face)

  const { stdout } = await promisify(execFile)(PYTHON, [SCRIPT, url, frame, helmet])
  const result = JSON.parse(stdout) as Record<string, unknown> & { faces: number }
  t.match(result, {
    crops_are_square: true,
    total: result.faces,
    up_older: result.up,
    fps: 30,
    changed_by_drawing: true,
    old: [
      ['bbox', 'execute_flag', 'prob', 'proc_resource_info', 'proc_resource_info_list', 'task_conf'],
      ['bbox', 'execute_flag', 'head_pose', 'image', 'proc_resource_info', 'proc_resource_info_list', 'task_conf'],
      result.faces,
      result.faces,
    ],
    cars: true,
    many: [result.faces, result.faces, result.faces],
    many_info: true,
    faces_many: result.faces,
    without_type: result.faces,
    broken: [false, 'BAD_IMAGE'],
  })
  t.equal(result.faces, 4)
  t.same([result.rendered, result.cars_rendered], [[720, 1280, 3], [720, 1280, 3]])
  t.same(result.helmets, [HELMETS.length, HELMETS.length])
  t.equal(workers.workers().length, 5, 'no worker was lost on the way')
})
