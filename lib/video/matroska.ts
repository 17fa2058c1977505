/** Raw frames with a time each as a Matroska stream, which ffmpeg reads from a pipe. Element ids: RFC 9559. */

/** Nanoseconds of a tick. */
const TICK = 1000

/** What stands before the first frame: one track of 8-bit BGR pixels. */
export function matroskaHeader(width: number, height: number): Buffer {
  const video = element('e0', element('b0', integer(width)), element('ba', integer(height)),
    element('2eb524', Buffer.from('BGR\x18')))
  const track = element('ae', element('d7', integer(1)), element('73c5', integer(1)), element('83', integer(1)),
    element('86', Buffer.from('V_UNCOMPRESSED')), video)
  return Buffer.concat([
    element('1a45dfa3', element('4282', Buffer.from('matroska'))),
    // A segment without an end.
    Buffer.from('1853806701ffffffffffffff', 'hex'),
    element('1549a966', element('2ad7b1', integer(TICK))),
    element('1654ae6b', track),
  ])
}

/** What stands before the pixels of a frame; milliseconds. */
export function frameHeader(timestamp: number, bytes: number): Buffer {
  const time = element('e7', integer(Math.round(timestamp * 1e6 / TICK)))
  const block = Buffer.concat([Buffer.from('a3', 'hex'), size(4 + bytes), Buffer.from('81000080', 'hex')])
  return Buffer.concat([Buffer.from('1f43b675', 'hex'), size(time.length + block.length + bytes), time, block])
}

function element(id: string, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  return Buffer.concat([Buffer.from(id, 'hex'), size(body.length), body])
}

function size(bytes: number): Buffer {
  const buffer = integer(bytes)
  buffer[0] = 1
  return buffer
}

function integer(value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64BE(BigInt(value))
  return buffer
}
