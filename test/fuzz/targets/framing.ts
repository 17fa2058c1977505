/** Messages over a socket, cut into chunks anywhere, against a reader that has all of them at once. */
import { deepEqual, equal } from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { Framing } from '../../../lib/workers/process/framing.js'

/** A message that announces so much is refused. */
const TOO_MANY = 0xffffffff

/** Byte by byte of the input: lengths of header and data (255: too long, which is the last), then cuts. */
export function fuzz(input: Buffer): void {
  const sent: string[] = []
  const parts: Buffer[] = []
  let refused = false
  let at = 0
  const next = (): number => input[at++] ?? 0
  for (let count = next() % 8; count > 0 && !refused; count -= 1) {
    const [headerBytes, dataBytes] = [next(), next()]
    refused = headerBytes === 255
    parts.push(Buffer.from(Uint32Array.of(refused ? TOO_MANY : headerBytes, dataBytes).buffer))
    const body = Buffer.alloc(headerBytes + dataBytes, next())
    parts.push(body)
    if (!refused) sent.push(`${headerBytes} ${body.toString('latin1')}`)
  }
  const stream = Buffer.concat(parts)

  const received: string[] = []
  let fault: Error | undefined
  const socket = Object.assign(new EventEmitter(), { destroy: (error: Error) => fault ??= error })
  new Framing(socket as unknown as Socket, (header, data) => {
    received.push(`${header.length} ${Buffer.concat([header, data]).toString('latin1')}`)
  })
  for (let begin = 0; begin < stream.length && !fault;) {
    const end = begin + 1 + next()
    socket.emit('data', stream.subarray(begin, end))
    begin = end
  }
  deepEqual(received, sent)
  equal(fault !== undefined, refused)
}

export const seeds = [
  Buffer.of(1, 24, 0, 7),
  Buffer.of(3, 8, 0, 1, 0, 200, 2, 30, 30, 3, 0, 3, 7, 8, 9, 200),
  Buffer.of(2, 8, 8, 1, 255, 0, 0, 4, 4, 4),
]
