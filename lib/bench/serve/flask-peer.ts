/**
 * The kind of server that is being replaced: Flask, a Python literal in JSON, `cv2.dnn`
 * (`native/bench/flask_server.py`).
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { EdgeInferError } from '../../errors.js'
import { resolveTaskModel } from '../../tasks/models.js'
import type { TaskName } from '../../tasks/registry.js'
import { TargetProcess } from '../target-process.js'

/** The one that Debian's packages belong to. */
const PYTHON = '/usr/bin/python3'
const PROGRAM = fileURLToPath(new URL('../../../../native/bench/flask_server.py', import.meta.url))
const INSTALL = 'apt-get install --no-install-recommends python3-flask python3-opencv'

export class FlaskPeer {
  readonly url: string
  /** `Flask 2.2.2, OpenCV 4.6.0` */
  readonly versions: string
  readonly #process: TargetProcess

  private constructor(process: TargetProcess) {
    const { port, flask, opencv } = process.greeting
    this.url = `http://127.0.0.1:${String(port)}`
    this.versions = `Flask ${String(flask)}, OpenCV ${String(opencv)}`
    this.#process = process
  }

  /**
   * Detection by as many worker processes. @throws EdgeInferError RUNTIME_UNAVAILABLE where a package is missing.
   */
  static async start(task: TaskName, model: string | undefined, workers: number): Promise<FlaskPeer> {
    try {
      await promisify(execFile)(PYTHON, ['-c', 'import flask, cv2'])
    } catch (cause) {
      throw new EdgeInferError(
        'RUNTIME_UNAVAILABLE', `The Flask server needs Python's flask and cv2. Run "${INSTALL}"`, { cause },
      )
    }
    const { entry, paths } = await resolveTaskModel(task, model)
    const { name, family, boxesDecoded, input, thresholds } = entry
    if (family !== 'ultraface' || !boxesDecoded || !input || !thresholds) {
      throw new EdgeInferError(
        'BAD_OPTION', `Expected an UltraFace with decoded boxes for the Flask server but received ${name}`,
      )
    }
    const { scoreThreshold, iouThreshold } = thresholds
    const settings = [input.width, input.height, scoreThreshold, iouThreshold, workers].map(String)
    return new FlaskPeer(await TargetProcess.start(
      'Flask', PYTHON, [PROGRAM, paths[0] as string, ...settings], { env: { ...process.env, QUIET: '1' } }))
  }

  close(): Promise<void> {
    return this.#process.close()
  }
}
