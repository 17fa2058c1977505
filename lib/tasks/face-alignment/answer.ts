/** face_alignment: where heads look, and how many of them look up. */
import { EdgeInferError } from '../../errors.js'
import type { BoundingBox } from '../../inference/detector.js'
import type { JobItem, JobResult } from '../../inference/job.js'
import { isUp, toWireHeadPose, type WireHeadPose } from '../head-pose.js'
import {
  firstResolution, itemsOf, jobsFor, planImageList, renderedMember, requireImage, split, wantsRender, type Plan,
  type Planner,
} from '../plan.js'
import type { PostedImage, TaskRequest } from '../request.js'
import type { AnswerStyle } from '../schema.js'

export const plan: Planner = (request, style, workers) => {
  if (request.imageList) {
    return planImageList(
      request.imageList, workers, {}, (item) => ({ head_pose: [poseOf(item, wholePicture(item))] }),
    )
  }
  const shared = style === 'concurrent' ? workers : 1
  const { faces, image } = request
  if (faces && !(image && wantsRender(request))) return planFaces(request, faces, style, shared)
  // Callers that send a frame in place of faces show the one that comes back, and end where none does.
  if (image) return planBoxes(request, image, style, shared, wantsRender(request, !faces))
  return requireImage('faces, image with bbox, or image_list')
}

function planFaces(request: TaskRequest, faces: readonly PostedImage[], style: AnswerStyle, workers: number): Plan {
  const bbox = parseBoxes(request.fields.bbox)
  if (bbox && bbox.length !== faces.length) {
    throw new EdgeInferError(
      'BAD_REQUEST', `Expected bbox to have one box a face (${faces.length}) but received ${bbox.length}`,
    )
  }
  return {
    jobs: jobsFor(faces, workers, {}),
    // The faces are crops: the size of the frame they come from is not known here.
    resolution: () => undefined,
    answer: (results) => {
      const items = itemsOf(results)
      const boxes = bbox ?? items.map(wholePicture)
      return answer(boxes, items.map((item, index) => poseOf(item, boxes[index] as BoundingBox)), style)
    },
  }
}

function planBoxes(
  request: TaskRequest, image: PostedImage, style: AnswerStyle, workers: number, render: boolean,
): Plan {
  const bbox = parseBoxes(request.fields.bbox)
  if (!bbox) throw new EdgeInferError('BAD_REQUEST', 'Expected bbox, the boxes of the faces, beside image')
  // A picture is drawn on once, by one worker that has all its faces.
  const parts = split(bbox, render ? 1 : workers)
  return {
    jobs: parts.map((boxes) => ({ images: [image.image], boxes, render })),
    resolution: firstResolution,
    answer: (results) => {
      const poses = posesOf(results)
      return {
        ...answer(bbox, poses.map((angles, index) => toWireHeadPose(angles, bbox[index] as BoundingBox)), style),
        ...renderedMember(itemsOf(results)[0], image.encoding),
      }
    },
  }
}

function answer(
  bbox: readonly BoundingBox[], poses: readonly WireHeadPose[], style: AnswerStyle,
): Record<string, unknown> {
  if (style === 'old') return { bbox, head_pose: poses }
  const up = poses.filter(([, pitch]) => isUp({ pitch })).length
  return { count_result: { up, total: poses.length }, head_pose: poses, bbox }
}

function posesOf(results: readonly JobResult[]): JobItem['angles'] {
  return itemsOf(results).flatMap(({ angles }) => angles)
}

function poseOf(item: JobItem, box: BoundingBox): WireHeadPose {
  return toWireHeadPose(item.angles[0] as JobItem['angles'][number], box)
}

function wholePicture({ width, height }: JobItem): BoundingBox {
  return [0, 0, width, height]
}

/** The most boxes of one request: as many as the most faces one picture is answered with. */
const MAX_BOXES = 750

function parseBoxes(value: unknown): BoundingBox[] | undefined {
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) throw new EdgeInferError('BAD_REQUEST', 'Expected bbox to be a list of boxes')
  if (value.length > MAX_BOXES) {
    throw new EdgeInferError(
      'TOO_LARGE', `Expected bbox to have at most ${MAX_BOXES} boxes but received ${value.length}`,
    )
  }
  return value.map((box: unknown, index) => {
    // Callers that kept a score with its box send five numbers.
    if (!Array.isArray(box) || box.length < 4 || !box.slice(0, 4).every(Number.isFinite)) {
      throw new EdgeInferError('BAD_REQUEST', `Expected bbox[${index}] to be four numbers, [x1, y1, x2, y2]`)
    }
    return box.slice(0, 4) as BoundingBox
  })
}
