/** The server's side of the job protocol, a worker's answer. The input is a header, data, and the header's length. */
import { ok } from 'node:assert/strict'
import { EdgeInferError } from '../../../lib/errors.js'
import { native } from '../../../lib/native.js'
import { decodeAnswer } from '../../../lib/workers/process/job-protocol.js'
import { refusesOrReturns } from '../refuses-or-returns.js'

const { version } = native.jobProtocol()

export function fuzz(input: Buffer): void {
  const headerBytes = Math.min(8 * (input.at(-1) ?? 0) + (input.at(-2) === 0 ? 1 : 0), input.length)
  const data = input.subarray(headerBytes)
  const isRefusal = (error: unknown): boolean => error instanceof EdgeInferError && error.code === 'INTERNAL'
  const answer = refusesOrReturns(isRefusal, () => decodeAnswer(input.subarray(0, headerBytes), data))
  if (!answer || !('result' in answer)) return
  const pictures = answer.result.items.flatMap(({ crops, rendered }) => [...crops, ...rendered ? [rendered] : []])
  ok(pictures.reduce((sum, { length }) => sum + length, 0) <= data.length)
  for (const { boxes, scores, classIds } of answer.result.items) {
    ok(boxes.length === scores.length && boxes.length === classIds.length)
  }
}

function message(numbers: readonly number[], data: string): Buffer {
  const header = Buffer.from(Float64Array.from(numbers).buffer)
  return Buffer.concat([header, Buffer.from(data), Buffer.of(1, numbers.length)])
}

const answer = (items: number): number[] => [version, 7, 0, 1, 1, 1, 1, 1, 0.1, 0.1, 1e6, items]

export const seeds = [
  message([version, 7, 1], 'BAD_IMAGE\nNo picture'),
  message(answer(0), ''),
  message([...answer(1), 640, 480, 1, 0, 1, 3, 1, 2, 3, 4, 0.5, 0, 5], 'cropsimg'),
  message([...answer(2), 10, 10, 0, 1, 0, -1, 1, 2, 3, 10, 10, 0, 0, 0, -1], ''),
]
