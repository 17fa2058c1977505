/**
 * Prints, as JSON, what the addon answers on this machine to a picture of each task, and the seconds of processor time
 * that took. With the answers of another machine in a file, the head poses are those of the faces found there.
 */
import { readFileSync } from 'node:fs'
import { createTask, loadRuntime, type BoundingBox, type TaskName, type TaskOptions } from '../../lib/index.js'
import { resolveSample } from '../../lib/models/index.js'
import { native } from '../../lib/native.js'
import { useConstantHelmets } from '../helpers/models.js'

/** An object or a head; absent is what its task does not answer. */
export interface Finding {
  label: string
  /** Pixels. */
  box: BoundingBox
  score?: number
  /** Yaw, pitch and roll in degrees. */
  angles?: number[]
  /** Mean of the decoded crop's values, 0 to 255. */
  cropMean?: number
}

export interface TaskAnswer {
  task: TaskName
  model: string
  loadSeconds: number
  runSeconds: number
  findings: Finding[]
}

export interface Answers {
  /** Of the machine and of what runs on it, by name. */
  versions: Record<string, string>
  tasks: TaskAnswer[]
}

/** With the processor time of all threads, which tells more of an emulated machine than the clock. */
async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const start = process.cpuUsage()
  const result = await work
  const { user, system } = process.cpuUsage(start)
  return [result, (user + system) / 1e6]
}

async function detect(
  task: Exclude<TaskName, 'face_alignment'>, picture: Buffer, options: TaskOptions = {},
): Promise<TaskAnswer> {
  const [detector, loadSeconds] = await timed(createTask(task, { download: false, ...options }))
  const [{ objects }, runSeconds] = await timed(detector.run(picture, { crops: true }))
  await detector.close()
  const findings = await Promise.all(objects.map(async ({ label, box, score, crop }): Promise<Finding> => {
    const pixels = await native.annotate({ kind: 'encoded', data: crop as Buffer }, [], 'raw')
    return { label, box, score, cropMean: pixels.reduce((sum, value) => sum + value, 0) / pixels.length }
  }))
  return { task, model: detector.model.entry.name, loadSeconds, runSeconds, findings }
}

async function pose(picture: Buffer, faces: readonly Finding[]): Promise<TaskAnswer> {
  const [estimator, loadSeconds] = await timed(createTask('face_alignment', { download: false }))
  const [{ poses }, runSeconds] = await timed(estimator.run(picture, faces.map(({ box }) => box)))
  await estimator.close()
  const findings = poses.map(({ yaw, pitch, roll }, index): Finding => ({
    label: 'head', box: (faces[index] as Finding).box, angles: [yaw, pitch, roll],
  }))
  return { task: 'face_alignment', model: estimator.model.entry.name, loadSeconds, runSeconds, findings }
}

useConstantHelmets({ teardown: (restore) => { process.on('exit', () => void restore()) } })

const [, , otherFile] = process.argv
const [people, car] = await Promise.all((['faces', 'car'] as const).map(
  async (name) => readFileSync(await resolveSample(name, { download: false })))) as [Buffer, Buffer]
const faces = await detect('face_detection', people)
const others = otherFile === undefined ? undefined : JSON.parse(readFileSync(otherFile, 'utf8')) as Answers
const posed = others?.tasks.find(({ task }) => task === 'face_detection') ?? faces
const answers: Answers = {
  versions: {
    machine: process.arch, node: process.versions.node, opencv: native.versions().opencv,
    onnxruntime: loadRuntime().version, compiler: native.versions().compiler,
  },
  tasks: [
    // One face and a small input: YOLOv8n takes minutes on an emulated processor at its own 640 pixels.
    faces, await pose(people, posed.findings.slice(0, 1)), await detect('car_detection', car, { inputSize: 160 }),
    await detect('helmet_detection', people),
  ],
}
process.stdout.write(JSON.stringify(answers))
