/** Who gets which job, by estimates alone. */
import t from 'tap'
import { withinCpuQuota, nextDispatch, estimateShares, type Candidate } from '../../../lib/workers/pool/dispatch.js'

function worker(given: Partial<Candidate> = {}): Candidate {
  return { hasRoom: true, freeIn: 0, jobTime: 10, isBusy: false, isOverdue: false, cpuShare: 0.5, ...given }
}

t.test('a job goes to the worker that will have done it first', async (t) => {
  const [idle, busy, slow] = [worker(), worker({ freeIn: 8 }), worker({ jobTime: 100 })]
  t.strictSame(nextDispatch([busy, idle], 1), { worker: idle, index: 0 })
  t.strictSame(nextDispatch([busy, slow], 1), { worker: busy, index: 0 })
  t.equal(nextDispatch([worker({ freeIn: 8, hasRoom: false }), slow], 1), undefined, 'better off waiting')
  t.strictSame(nextDispatch([worker({ freeIn: 8, hasRoom: false }), slow], 12), { worker: slow, index: 9 })
  t.equal(nextDispatch([], 1), undefined)
})

t.test('waiting jobs are shared by the same estimate', async (t) => {
  const [quick, slow] = [worker(), worker({ jobTime: 35 })]
  t.strictSame([...estimateShares([quick, slow], 4).values()], [3, 1])
  t.strictSame([...estimateShares([], 4).values()], [])
})

t.test('no more workers than can use up the share of their task', async (t) => {
  const three = [worker(), worker(), worker()]
  t.equal(withinCpuQuota(three, 1), three, 'not limited')
  t.strictSame(withinCpuQuota(three, 0.25), [three[0]])
  t.strictSame(withinCpuQuota(three, 0.6), three.slice(0, 2))
  t.strictSame(withinCpuQuota(three.map((idle) => ({ ...idle, cpuShare: 0.05 })), 0.25).length, 3, 'limited themselves')

  const busy = worker({ isBusy: true })
  t.strictSame(withinCpuQuota([worker(), busy], 0.25), [busy], 'those at work first')
  t.strictSame(withinCpuQuota([busy, { ...busy }], 0.25), [busy], 'one of two at work gets no more')
  const late = worker({ isBusy: true, isOverdue: true })
  t.strictSame(withinCpuQuota([late, worker()], 0.25), [late, worker()], 'one that may be stuck is not counted on')
})
