/** car_detection: `result`, one list a box, and how many there are of each class. */
import type { JobItem } from '../../inference/job.js'
import {
  firstResolution, itemsOf, planImageList, renderedMember, requireImage, wantsRender, type Planner,
} from '../plan.js'
import { countEach } from '../present.js'
import type { WireDetection } from './schema.js'

export const plan: Planner = (request, style, workers) => {
  const render = wantsRender(request)
  const { image, imageList } = request
  if (imageList) return planImageList(imageList, workers, { render }, (item) => ({ result: rows(item) }))
  if (!image) requireImage('image (or image_list)')
  return {
    jobs: [{ images: [image.image], render }],
    resolution: firstResolution,
    answer: (results) => {
      const item = itemsOf(results)[0] as JobItem
      const labels = item.classIds.map((id) => results[0]?.labels[id] ?? String(id))
      const details = style === 'old' ? {} : { label: labels, count_result: Object.fromEntries(countEach(labels)) }
      return { result: rows(item), ...details, ...renderedMember(item, image.encoding) }
    },
  }
}

/** Best first. */
function rows(item: JobItem): WireDetection[] {
  return item.boxes.map((box, index) => [...box, item.scores[index] as number, item.classIds[index] as number])
}
