/** face_detection: `bbox` and `prob`, and on the newer routes `faces`, the encoded crops. */
import type { JobItem } from '../../inference/job.js'
import { encodeImage } from '../encode-image.js'
import {
  firstResolution, itemsOf, planImageList, renderedMember, requireImage, wantsRender, type Planner,
} from '../plan.js'

export const plan: Planner = (request, style, workers) => {
  const render = wantsRender(request)
  const { image, imageList } = request
  if (imageList) return planImageList(imageList, workers, { render }, boxes)
  if (!image) requireImage('image (or image_list)')
  const crops = style !== 'old'
  return {
    jobs: [{ images: [image.image], crops, render }],
    resolution: firstResolution,
    answer: (results) => {
      const item = itemsOf(results)[0] as JobItem
      const faces = crops ? { faces: item.crops.map((crop) => encodeImage(crop, image.encoding)) } : {}
      return { ...faces, ...boxes(item), ...renderedMember(item, image.encoding) }
    },
  }
}

function boxes(item: JobItem): { bbox: JobItem['boxes']; prob: number[] } {
  return { bbox: item.boxes, prob: item.scores }
}
