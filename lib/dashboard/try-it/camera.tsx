import { useEffect, useRef, useState } from 'preact/hooks'
import { Failure } from '../components/failure'
import { pictureOf, type Picture } from './picture'

export interface CameraProps {
  /** Resolves when the picture has been dealt with. */
  onFrame: (picture: Picture) => Promise<void>
  onClose: () => void
}

/** The camera's view; one frame, or one after another as fast as they are answered. */
export function Camera({ onFrame, onClose }: CameraProps) {
  const video = useRef<HTMLVideoElement>(null)
  const [failure, setFailure] = useState<string>()
  const [ready, setReady] = useState(false)
  const [going, setGoing] = useState(false)
  const handle = useRef(onFrame)
  handle.current = onFrame

  useEffect(() => {
    let stream: MediaStream | undefined
    let closed = false
    openCamera().then((opened) => {
      stream = opened
      if (closed) stop(opened)
      else if (video.current) video.current.srcObject = opened
    }).catch((error: Error) => setFailure(error.message))
    return () => {
      closed = true
      if (stream) stop(stream)
    }
  }, [])

  async function take(): Promise<void> {
    if (video.current && ready) await handle.current(await pictureOf(video.current))
  }

  useEffect(() => {
    let ended = false
    async function loop(): Promise<void> {
      while (!ended) {
        await take()
        await new Promise(requestAnimationFrame)
      }
    }
    if (going) void loop()
    return () => {
      ended = true
    }
  }, [going, ready])

  if (failure !== undefined) return <Failure notice={{ kind: 'failed', text: failure }} />
  return (
    <div class="camera">
      <video ref={video} autoplay muted playsInline aria-label="Camera" onLoadedData={() => setReady(true)} />
      <div class="actions">
        <button type="button" class="primary" aria-disabled={!ready} onClick={() => void take()}>Take a frame</button>
        <label class="check">
          <input type="checkbox" checked={going} onChange={(event) => setGoing(event.currentTarget.checked)} />
          One after another
        </label>
        <button type="button" onClick={onClose}>Close the camera</button>
      </div>
    </div>
  )
}

async function openCamera(): Promise<MediaStream> {
  const devices = navigator.mediaDevices as MediaDevices | undefined
  if (!devices) throw new Error('Browsers give the camera only to pages that come over https or from localhost')
  return devices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } } })
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop()
}
