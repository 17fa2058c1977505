import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { mapInOrder } from '../../lib/cli/map-in-order.js'

t.test('results come in order, no more items are taken than the limit, and they overlap', async (t) => {
  let taken = 0
  let underWay = 0
  let most = 0
  function* items(): Generator<number> {
    for (; taken < 20; taken++) yield taken
  }
  const results: number[] = []
  const mapped = mapInOrder(items(), 3, async (item) => {
    most = Math.max(most, ++underWay)
    await setTimeout(item % 2 === 0 ? 6 : 1)
    underWay--
    return item
  })
  for await (const result of mapped) {
    results.push(result)
    t.ok(taken <= result + 3)
  }
  t.strictSame(results, Array.from({ length: 20 }, (_, index) => index))
  t.equal(most, 3)
})

t.test('an error comes in its turn, after what was under way has ended', async (t) => {
  let ended = 0
  const results: number[] = []
  const mapped = mapInOrder([0, 1, 2, 3], 3, async (item) => {
    if (item === 1) throw new Error('broken')
    await setTimeout(10 * item)
    ended++
    return item
  })
  await t.rejects(async () => { for await (const result of mapped) results.push(result) }, { message: 'broken' })
  t.strictSame(results, [0])
  t.equal(ended, 3, 'items 0, 2 and 3')
})
