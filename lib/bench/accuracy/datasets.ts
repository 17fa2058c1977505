/** The labelled sets of a data directory: pictures in `images/<set>`, labels in `labels/<set>`. */
import { existsSync, readdirSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { EdgeInferError } from '../../errors.js'
import { isTaskOfKind, type TaskName, type TaskOfKind } from '../../tasks/registry.js'
import type { BoundingBox, HeadPose } from '../../tasks/index.js'
import type { TruthBox } from './matching.js'
import { decodePixels, encodePixels, resizePixels } from './pixels.js'

export interface Size {
  width: number
  height: number
}

export interface LabelledImage {
  name: string
  file: Buffer
  /** Labels in pixels of the picture, whose size the caller knows. */
  truth(size: Size): TruthBox[]
}

export interface DetectionSet {
  kind: 'detection'
  name: string
  /** In `images/` and `labels/`. */
  folder: string
  task: TaskOfKind<'detection'>
  /** What is counted, for people. */
  counts: string
  /** Pixels; see {@link MatchRules}. */
  minSide: number
  classes?: readonly number[]
  load(directory: string): Promise<LabelledImage[]>
}

export interface LabelledHead {
  name: string
  file: Buffer
  box: BoundingBox
  pose: HeadPose
}

export interface HeadPoseSet {
  kind: 'head pose'
  name: string
  folder: string
  task: TaskOfKind<'head_pose'>
  counts: string
  load(directory: string): Promise<LabelledHead[]>
}

export type LabelledSet = DetectionSet | HeadPoseSet

/** COCO's car, motorcycle, bus and truck. */
const VEHICLES = [2, 3, 5, 7]
const HELMET = 0
const HEAD = 1

const LABELLED_SETS: readonly LabelledSet[] = [
  {
    kind: 'detection', name: 'wider_val416', folder: 'wider_val416', task: 'face_detection', counts: 'faces ≥ 32 px',
    minSide: 32, load: loadWider,
  },
  { kind: 'head pose', name: 'aflw2000', folder: 'aflw2000', task: 'face_alignment', counts: 'heads', load: loadAflw },
  {
    kind: 'detection', name: 'coco_vehicles', folder: 'coco_vehicles', task: 'car_detection',
    counts: 'motor vehicles ≥ 32 px', minSide: 32, classes: VEHICLES, load: loadCocoVehicles,
  },
  {
    kind: 'detection', name: 'coco_vehicles, all classes', folder: 'coco_vehicles', task: 'car_detection',
    counts: 'objects ≥ 32 px', minSide: 32, load: loadCoco,
  },
  {
    kind: 'detection', name: 'helmets_shwd100', folder: 'helmets_shwd100', task: 'helmet_detection',
    counts: 'helmets and bare heads', minSide: 0, load: loadShwd,
  },
  {
    kind: 'detection', name: 'helmets_reviewed', folder: 'helmets_reviewed', task: 'helmet_detection',
    counts: 'helmets and bare heads', minSide: 0, load: loadReviewed,
  },
]

/**
 * The sets that lie in `directory`; else, where one detection task is asked for, the directory as a set of one's own:
 * pictures in `images/`, and in `labels/` a text file of the same name for each, as {@link loadYolo} reads them.
 * @throws EdgeInferError BAD_OPTION when there is none. */
export function setsIn(directory: string, tasks?: readonly TaskName[]): LabelledSet[] {
  const wanted = LABELLED_SETS.filter(({ task }) => tasks === undefined || tasks.includes(task))
  const present = wanted.filter(({ folder }) => existsSync(join(directory, 'images', folder)))
  if (present.length > 0) return present
  const [task, ...others] = tasks ?? []
  if (task !== undefined && isTaskOfKind('detection', task) && others.length === 0 && hasOwnLabels(directory)) {
    return [{
      kind: 'detection', name: basename(directory), folder: '', task, counts: 'objects', minSide: 0,
      load: (data) => loadYolo(data, '', (name) => existsSync(labelsOf(data, '', name))),
    }]
  }
  const names = [...new Set(wanted.map(({ folder }) => folder))].join(', ')
  throw new EdgeInferError(
    'BAD_OPTION', `Expected a data directory with images/ and labels/ of any of ${names} but ${directory} has none`,
  )
}

function hasOwnLabels(directory: string): boolean {
  const [pictures, labels] = ['images', 'labels'].map((folder) => join(directory, folder)) as [string, string]
  return existsSync(pictures) && existsSync(labels) &&
    readdirSync(pictures).some((name) => existsSync(labelsOf(directory, '', name)))
}

function labelsOf(directory: string, set: string, picture: string): string {
  return join(directory, 'labels', set, `${basename(picture, extname(picture))}.txt`)
}

interface WiderLabel {
  orig_w: number
  orig_h: number
  boxes_xyxy_416: BoundingBox[]
}

/** The pictures were stretched to a square; they get their aspect back, with the longer side as it is. */
async function loadWider(directory: string): Promise<LabelledImage[]> {
  const stretched = 416
  const labels = await readJson<Record<string, WiderLabel>>(directory, 'wider_val416/labels.json')
  return Promise.all(Object.entries(labels).map(async ([name, { orig_w, orig_h, boxes_xyxy_416 }]) => {
    const ratio = stretched / Math.max(orig_w, orig_h)
    const width = Math.round(orig_w * ratio)
    const height = Math.round(orig_h * ratio)
    const square = await decodePixels(
      await readImage(directory, 'wider_val416', name), { width: stretched, height: stretched })
    return {
      name,
      file: await encodePixels(resizePixels(square, width, height)),
      truth: (size) => boxes_xyxy_416.map((box) => ({
        box: scale(box, size.width / stretched, size.height / stretched), classId: 0,
      })),
    }
  }))
}

async function loadAflw(directory: string): Promise<LabelledHead[]> {
  const text = await readFile(join(directory, 'labels', 'aflw2000', 'pose.csv'), 'utf8')
  return Promise.all(text.trim().split(/\r?\n/).slice(1).map(async (line) => {
    const [name = '', ...rest] = line.split(',')
    const [yaw, pitch, roll, ...box] = rest.map(Number) as [number, number, number, ...BoundingBox]
    return { name, file: await readImage(directory, 'aflw2000', name), box, pose: { yaw, pitch, roll } }
  }))
}

/** The pictures of the validation set only: models were trained on the others. */
function loadCoco(directory: string): Promise<LabelledImage[]> {
  return loadYolo(directory, 'coco_vehicles', (name) => name.startsWith('val2017_'))
}

async function loadCocoVehicles(directory: string): Promise<LabelledImage[]> {
  const images = await loadCoco(directory)
  return images.map((image) => ({
    ...image, truth: (size) => image.truth(size).filter(({ classId }) => VEHICLES.includes(classId)),
  }))
}

/** SHWD labels a helmet's shell; what is detected is the whole head that wears it. */
async function loadShwd(directory: string): Promise<LabelledImage[]> {
  const images = await loadYolo(directory, 'helmets_shwd100')
  return images.map((image) => ({
    ...image,
    truth: (size) => image.truth(size).map((label) =>
      label.classId === HELMET ? { ...label, box: growShell(label.box, size) } : label),
  }))
}

function growShell([x1, y1, x2, y2]: BoundingBox, { width, height }: Size): BoundingBox {
  const w = x2 - x1
  const h = y2 - y1
  return [
    Math.max(0, x1 - 0.05 * w), Math.max(0, y1 - 0.08 * h),
    Math.min(width, x2 + 0.03 * w), Math.min(height, y2 + 0.77 * h),
  ]
}

interface ReviewedLabel {
  boxes: Array<{ xyxy: BoundingBox; class: 'helmet' | 'head'; ignore: boolean }>
}

async function loadReviewed(directory: string): Promise<LabelledImage[]> {
  const labels = await readJson<Record<string, ReviewedLabel>>(directory, 'helmets_reviewed/labels.json')
  return Promise.all(Object.entries(labels).map(async ([name, { boxes }]) => ({
    name,
    file: await readImage(directory, 'helmets_reviewed', name),
    truth: () => boxes.map(({ xyxy, class: label, ignore }) => ({
      box: xyxy, classId: label === 'helmet' ? HELMET : HEAD, ignored: ignore,
    })),
  })))
}

/** One text file a picture: a line `class cx cy width height` a box, as shares of the picture. */
async function loadYolo(
  directory: string, set: string, isWanted: (name: string) => boolean = () => true,
): Promise<LabelledImage[]> {
  const names = (await readdir(join(directory, 'images', set))).filter(isWanted).sort()
  return Promise.all(names.map(async (name) => {
    const rows = (await readFile(labelsOf(directory, set, name), 'utf8')).split(/\r?\n/).filter(Boolean)
    const labels = rows.map((row) => row.trim().split(/\s+/).map(Number) as [number, number, number, number, number])
    return {
      name,
      file: await readImage(directory, set, name),
      truth: (size) => labels.map(([classId, cx, cy, w, h]) => ({
        classId, box: scale([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], size.width, size.height),
      })),
    }
  }))
}

function scale([x1, y1, x2, y2]: BoundingBox, x: number, y: number): BoundingBox {
  return [x1 * x, y1 * y, x2 * x, y2 * y]
}

function readImage(directory: string, set: string, name: string): Promise<Buffer> {
  return readFile(join(directory, 'images', set, name))
}

async function readJson<T>(directory: string, path: string): Promise<T> {
  return JSON.parse(await readFile(join(directory, 'labels', path), 'utf8')) as T
}
