import t from 'tap'
import { percentile, ratioOfMedians, slope, summarize } from '../../lib/bench/statistics.js'

t.test('percentiles are interpolated between their neighbours', async (t) => {
  t.equal(percentile([10, 20, 30, 40, 50], 50), 30)
  t.equal(percentile([10, 20], 75), 17.5)
  t.equal(percentile([10, 20], 100), 20)
  t.ok(Number.isNaN(percentile([], 50)))
})

t.test('a summary sorts by value, not by text, and leaves its input alone', async (t) => {
  const values = [100, 9, 20]
  t.match(summarize(values, [50]), { count: 3, mean: 43, min: 9, max: 100, percentiles: { 50: 20 } })
  t.same(values, [100, 9, 20])
})

t.test('the slope is that of the nearest line', async (t) => {
  t.ok(Math.abs(slope([[0, 1], [1, 4], [2, 4], [3, 7]]) - 1.8) < 1e-9)
  t.equal(slope([[10, 5], [20, 5]]), 0)
  t.ok(Number.isNaN(slope([[1, 1]])))
})

t.test('a ratio is that of the medians; its quartiles are of rounds, so one slow for both does not show', async (t) => {
  const ratio = ratioOfMedians([1, 2, 30], [2, 4, 60])
  t.same(ratio, { median: 0.5, lowerQuartile: 0.5, upperQuartile: 0.5 })
})
