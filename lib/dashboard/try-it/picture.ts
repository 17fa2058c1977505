/** Pictures from files, the clipboard and the camera, as they are sent and as they are shown. */

export interface Picture {
  name: string
  /** What the node is sent. */
  body: Blob
  /** Absent where the browser cannot show it: the node then says what is wrong with it. */
  bitmap: ImageBitmap | undefined
}

/** Types the nodes decode. */
const SENT_AS_THEY_ARE = ['image/jpeg', 'image/png', 'image/webp', 'image/bmp']
const JPEG_QUALITY = 0.95

/** Nodes see frames as they are stored; photographs that are to be turned first, and other types, are sent anew. */
export async function pictureFrom(file: Blob, name: string): Promise<Picture> {
  const bitmap = await createImageBitmap(file).catch(() => undefined)
  if (!bitmap) return { name, body: file, bitmap }
  const plain = SENT_AS_THEY_ARE.includes(file.type) && !isTurned(await file.slice(0, 65536 + 4096).arrayBuffer())
  return { name, body: plain ? file : await toJpeg(bitmap), bitmap }
}

export async function pictureOf(video: HTMLVideoElement): Promise<Picture> {
  const bitmap = await createImageBitmap(video)
  return { name: 'Camera', body: await toJpeg(bitmap), bitmap }
}

async function toJpeg(bitmap: ImageBitmap): Promise<Blob> {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height)
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0)
  return canvas.convertToBlob({ type: 'image/jpeg', quality: JPEG_QUALITY })
}

const APP1 = 0xe1
const START_OF_SCAN = 0xda
const EXIF = 0x45786966
const ORIENTATION_TAG = 0x0112

/** Whether the Exif data of a JPEG file say that it is shown turned or mirrored (Exif 2.3, 4.6.4: Orientation). */
function isTurned(file: ArrayBuffer): boolean {
  try {
    return orientation(new DataView(file)) > 1
  } catch {
    // Cut short: there is none in what is there.
    return false
  }
}

function orientation(view: DataView): number {
  if (view.getUint16(0) !== 0xffd8) return 1
  for (let at = 2; view.getUint8(at) === 0xff; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint8(at + 1)
    if (marker === START_OF_SCAN) break
    if (marker === APP1 && view.getUint32(at + 4) === EXIF) return tiffOrientation(view, at + 10)
  }
  return 1
}

function tiffOrientation(view: DataView, start: number): number {
  const little = view.getUint16(start) === 0x4949
  const directory = start + view.getUint32(start + 4, little)
  const entries = view.getUint16(directory, little)
  for (let index = 0; index < entries; index++) {
    const entry = directory + 2 + 12 * index
    if (view.getUint16(entry, little) === ORIENTATION_TAG) return view.getUint16(entry + 8, little)
  }
  return 1
}
