/** Results drawn over their picture. */
import { extname } from 'node:path'
import { native, type NativeMark } from '../native.js'
import type { Detections, BoundingBox } from './detector.js'
import type { HeadPose } from './head-pose.js'
import { toNativeImage, type ImageInput, type OrientationOptions } from './image.js'
import { integerIn } from './options.js'

export interface AnnotateOptions extends OrientationOptions {
  /** Head poses, one an object, drawn as axes (x red, y green, out of the face blue). */
  poses?: readonly HeadPose[] | undefined
  /** Write the class and the confidence over each box; true unless said otherwise. */
  labels?: boolean | undefined
  /** `.jpg` (default), `.png`, `.webp`, `.bmp`, or `raw` for BGR pixels. A file name's own extension will do. */
  type?: string | undefined
  /** 1 to 100; 95 unless said otherwise. */
  quality?: number | undefined
}

/** What is drawn: a box each, with a label. */
export type Annotated = Pick<Detections, 'objects'> | { objects: readonly { box: BoundingBox; label?: string }[] }

/** The picture as a file, with a box, a label and a head pose's axes drawn for each object. */
export async function annotate(image: ImageInput, result: Annotated, options: AnnotateOptions = {}): Promise<Buffer> {
  const { poses, labels = true, type = '.jpg' } = options
  const quality = integerIn('quality', options.quality, 1, 100) ?? 95
  const marks = result.objects.map((object, index): NativeMark => {
    const pose = poses?.[index]
    const { label, classId } = describe(object)
    const angles: NativeMark['pose'] = pose && [pose.yaw, pose.pitch, pose.roll]
    return { box: object.box, label: labels ? label : undefined, classId, pose: angles }
  })
  return native.annotate(await toNativeImage(image, options), marks, (extname(type) || type).toLowerCase(), quality)
}

function describe(object: Annotated['objects'][number]): Pick<NativeMark, 'label' | 'classId'> {
  if (!('score' in object)) return { label: object.label }
  return { label: `${object.label} ${object.score.toFixed(2)}`, classId: object.classId }
}
