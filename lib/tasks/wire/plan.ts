/** From a request to the jobs it takes, and from their results to the answer of the interface document. */
import type { TaskName } from '../../models/index.js'
import type { Job, JobResult } from '../job.js'
import type { AnswerStyle, TaskRequest } from './request.js'

export interface Plan {
  /** Independent of each other; at least one. */
  jobs: Job[]
  /** The task's own members of the answer, from the results in the order of the jobs. */
  answer(results: readonly JobResult[]): Record<string, unknown>
}

/**
 * `workers`: how many workers can share the work of a concurrent request.
 * @throws EdgeInferError BAD_REQUEST, BAD_IMAGE when the task's inputs are missing or do not fit together.
 */
export type Planner = (request: TaskRequest, style: AnswerStyle, workers: number) => Plan

export type Planners = Readonly<Record<TaskName, Planner>>
