/** Which job goes to which worker: each to the one that will have done it first. */

/** A worker that takes jobs, as the choice sees it. */
export interface Candidate {
  readonly hasRoom: boolean
  /** Milliseconds until it has done what it holds. */
  freeIn: number
  /** Milliseconds it takes for a job. */
  jobTime: number
  /** Whether it has a job. */
  isBusy: boolean
  /** Whether it has had that for much longer than it should: not to be counted on. */
  isOverdue: boolean
  /** What it uses of the machine's CPU time when it has enough to do, as a share. */
  cpuShare: number
}

/**
 * As many workers as can use up the task's share of the machine's CPU time, first those at work. One more would not do
 * more in all; it would only have the others stopped in the middle of their jobs.
 */
export function affordable<Worker extends Candidate>(workers: readonly Worker[], taskShare: number): readonly Worker[] {
  if (taskShare >= 1) return workers
  let used = 0
  return [...workers].sort((a, b) => Number(b.isBusy) - Number(a.isBusy)).filter(({ isOverdue, cpuShare }) => {
    if (used >= taskShare) return false
    if (!isOverdue) used += cpuShare
    return true
  })
}

/**
 * The next hand-out of a queue of `waiting` jobs, in the order they came: a worker with room, and the index of the
 * first job that no other worker would have done before it. Undefined where every job is better off waiting.
 */
export function nextHandOut<Worker extends Candidate>(
  workers: readonly Worker[], waiting: number,
): { worker: Worker; index: number } | undefined {
  let best: { worker: Worker; index: number } | undefined
  for (const worker of workers) {
    if (!worker.hasRoom) continue
    const finish = worker.freeIn + worker.jobTime
    const index = workers.reduce((sum, other) => other === worker ? sum : sum + doneBefore(finish, other), 0)
    if (index < waiting && (!best || index < best.index)) best = { worker, index }
  }
  return best
}

/** How many of the waiting jobs each worker will do, by the same estimate. */
export function shareOut<Worker extends Candidate>(workers: readonly Worker[], waiting: number): Map<Worker, number> {
  const shares = new Map(workers.map((worker) => [worker, 0]))
  const finish = (worker: Worker): number => worker.freeIn + worker.jobTime * ((shares.get(worker) as number) + 1)
  for (let left = workers.length > 0 ? waiting : 0; left > 0; left -= 1) {
    const first = workers.reduce((best, next) => finish(next) < finish(best) ? next : best)
    shares.set(first, (shares.get(first) as number) + 1)
  }
  return shares
}

function doneBefore(deadline: number, { freeIn, jobTime }: Candidate): number {
  return Math.max(0, Math.ceil((deadline - freeIn) / jobTime) - 1)
}
