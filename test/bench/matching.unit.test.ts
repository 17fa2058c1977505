import t from 'tap'
import { intersectionOverUnion, scoreDetections } from '../../lib/bench/accuracy/matching.js'

const RULES = { iou: 0.5, scoreThreshold: 0.5, minSide: 10 }
const A: [number, number, number, number] = [0, 0, 100, 100]
const B: [number, number, number, number] = [200, 0, 300, 100]
const FAR: [number, number, number, number] = [500, 500, 600, 600]
const TINY: [number, number, number, number] = [700, 700, 705, 705]

t.test('intersection over union', async (t) => {
  t.equal(intersectionOverUnion(A, [50, 0, 150, 100]), 5000 / 15000)
  t.equal(intersectionOverUnion(A, B), 0)
})

t.test('precision, recall and average precision of a case worked out by hand', async (t) => {
  // Ranked: hit (1/1, 1/2), false (1/2, 1/2), hit below the threshold (2/3, 2/2): AP = 1/2 × 1 + 1/2 × 2/3.
  const scores = scoreDetections([{
    truth: [{ box: A, classId: 0 }, { box: B, classId: 0 }],
    found: [
      { box: B, classId: 0, score: 0.4 }, { box: A, classId: 0, score: 0.9 }, { box: FAR, classId: 0, score: 0.8 },
    ],
  }], RULES)
  t.match(scores, { objects: 2, precision: 0.5, recall: 0.5 })
  t.ok(Math.abs(scores.averagePrecision - (1 / 2 + 1 / 3)) < 1e-12, `got ${scores.averagePrecision}`)
})

t.test('a second box on an object is false, and so is one of another class', async (t) => {
  const twice = [
    { box: A, classId: 0, score: 0.9 }, { box: A, classId: 0, score: 0.8 }, { box: B, classId: 1, score: 0.7 },
  ]
  const truth = [{ box: A, classId: 0 }, { box: B, classId: 0 }]
  t.match(scoreDetections([{ truth, found: twice }], RULES), { precision: 1 / 3, recall: 1 / 2 })
})

t.test('ignored and small objects count neither when found nor when missed', async (t) => {
  const truth = [{ box: A, classId: 0 }, { box: B, classId: 0, ignored: true }, { box: TINY, classId: 0 }]
  const found = [A, B, TINY].map((box) => ({ box, classId: 0, score: 0.9 }))
  const perfect = { objects: 1, precision: 1, recall: 1, averagePrecision: 1 }
  t.match(scoreDetections([{ truth, found }], RULES), perfect)
  t.match(scoreDetections([{ truth, found: found.slice(0, 1) }], RULES), perfect)
})

t.test('detections of all pictures are ranked together', async (t) => {
  const scores = scoreDetections([
    { truth: [{ box: A, classId: 0 }], found: [{ box: FAR, classId: 0, score: 0.95 }] },
    { truth: [{ box: A, classId: 0 }], found: [{ box: A, classId: 0, score: 0.9 }] },
  ], RULES)
  t.equal(scores.averagePrecision, 0.25)
})
