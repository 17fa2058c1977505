/** helmet_detection: the heads of a clip, with or without a helmet. */
import type { JobItem, JobResult } from '../../inference/job.js'
import { firstResolution, itemsOf, jobsFor, renderedMember, requireImage, wantsRender, type Planner } from '../plan.js'
import { BARE_HEAD } from './present.js'

export const plan: Planner = (request, style, workers) => {
  const images = request.imageList ?? (request.image ? [request.image] : requireImage('image_list (or image)'))
  const encoding = images[0]?.encoding
  return {
    jobs: jobsFor(images, style === 'concurrent' ? workers : 1, { render: wantsRender(request) }),
    resolution: firstResolution,
    answer: (results) => {
      const items = itemsOf(results)
      const common = {
        bbox_list: items.flatMap(({ boxes }) => boxes),
        clip_result: clipResult(results),
        ...renderedMember(items.find(({ rendered }) => rendered), encoding),
      }
      if (style === 'old') return common
      const labels = results[0]?.labels ?? []
      const details = {
        ...common,
        prob: items.flatMap(({ scores }) => scores),
        label: items.flatMap(({ classIds }) => classIds.map((id) => labels[id] ?? String(id))),
        frame_index: items.flatMap(({ boxes }, index) => boxes.map(() => index)),
      }
      if (style === 'new') return details
      return { ...details, output_ctx_list: items.map(({ boxes }) => ({ bbox_list: boxes })) }
    },
  }
}

/** Heads and bare heads of each frame. */
function clipResult(results: readonly JobResult[]): { ntotal: number; n_no_helmet: number }[] {
  return results.flatMap(({ items, labels }) => items.map((item: JobItem) => ({
    ntotal: item.classIds.length,
    n_no_helmet: item.classIds.filter((id) => labels[id] === BARE_HEAD).length,
  })))
}
