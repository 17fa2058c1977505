/** The encodings that a frame may travel in. */
import { native } from '../../native.js'
import { FRAME, type Frame } from './picture.js'

export const REQUEST_ENCODINGS = ['raw', 'base64', 'bytes-literal', 'latin1', 'nested-list'] as const
export type RequestEncoding = (typeof REQUEST_ENCODINGS)[number]

export interface RequestBody {
  contentType: string
  bytes: Buffer
}

export function makeBody({ jpeg, pixels }: Frame, encoding: RequestEncoding): RequestBody {
  switch (encoding) {
    case 'raw': return { contentType: 'image/jpeg', bytes: jpeg }
    case 'base64': return json(JSON.stringify(jpeg.toString('base64')))
    case 'bytes-literal': return json(JSON.stringify(native.encodeBytesLiteral(jpeg)))
    case 'latin1': return json(JSON.stringify(jpeg.toString('latin1')))
    case 'nested-list': return json(nestedList(pixels))
  }
}

function json(image: string): RequestBody {
  return { contentType: 'application/json', bytes: Buffer.from(`{"image": ${image}}`) }
}

/** As Python's `json.dumps(frame.tolist())` writes it. */
function nestedList(pixels: Buffer): string {
  const rows: string[] = []
  const bytesOfRow = FRAME.width * 3
  for (let at = 0; at < pixels.length; at += bytesOfRow) {
    const row: string[] = []
    for (let x = at; x < at + bytesOfRow; x += 3) row.push(`[${pixels[x]}, ${pixels[x + 1]}, ${pixels[x + 2]}]`)
    rows.push(`[${row.join(', ')}]`)
  }
  return `[${rows.join(', ')}]`
}
