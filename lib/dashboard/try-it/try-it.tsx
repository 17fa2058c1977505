import { useEffect, useRef, useState } from 'preact/hooks'
import { failureOf, type Notice } from '../actions'
import { Failure } from '../components/failure'
import { baseOf, type Node } from '../state'
import { Camera } from './camera'
import { ResultCanvas } from './canvas'
import { Findings, summaryOf } from './findings'
import { pictureFrom, type Picture } from './picture'
import { PURPOSES, runPurpose, type Outcome, type Purpose } from './run'
import { Timings } from './timings'

const EMPTY: Outcome = { marks: [], timings: [] }

/** A picture, the tasks, and what they see in it. */
export function TryIt({ nodes }: { nodes: readonly Node[] }) {
  const [purposeId, setPurposeId] = useState<string>()
  const [nodeId, setNodeId] = useState<string>()
  const [picture, setPicture] = useState<Picture>()
  const [outcome, setOutcome] = useState<Outcome>()
  const [failure, setFailure] = useState<Notice>()
  const [busy, setBusy] = useState(false)
  const [camera, setCamera] = useState(false)
  const [over, setOver] = useState(false)
  const running = useRef<AbortController | undefined>(undefined)

  const offered = PURPOSES.filter(({ tasks }) => nodes.some((node) => serves(node, tasks)))
  const purpose = offered.find(({ id }) => id === purposeId) ?? offered[0]
  const able = nodes.filter((node) => purpose && serves(node, purpose.tasks))
  const node = able.find(({ id }) => id === nodeId) ?? able[0]

  /** A new picture, or another task for the one there is; the one under way is cancelled. */
  async function look(at: Picture, by: Purpose | undefined, on: Node | undefined): Promise<void> {
    running.current?.abort()
    const controller = running.current = new AbortController()
    if (!by || !on) {
      setFailure({ kind: 'failed', text: 'No node serves a task now' })
      return
    }
    setBusy(true)
    try {
      const found = await runPurpose(baseOf(on), by, at.body, controller.signal)
      if (controller.signal.aborted) return
      setOutcome(found)
      setFailure(undefined)
    } catch (error) {
      if (controller.signal.aborted) return
      setOutcome(undefined)
      setFailure(failureOf(error))
    }
    setPicture(at)
    setBusy(false)
  }

  async function take(file: Blob | undefined, name: string): Promise<void> {
    if (!file) return
    setCamera(false)
    setOutcome(undefined)
    setFailure(undefined)
    const taken = await pictureFrom(file, name)
    setPicture(taken)
    await look(taken, purpose, node)
  }

  const paste = useRef(take)
  paste.current = take
  useEffect(() => {
    const onPaste = ({ clipboardData }: ClipboardEvent): void => {
      const file = [...clipboardData?.files ?? []].find(({ type }) => type.startsWith('image/'))
      void paste.current(file, 'Pasted picture')
    }
    document.addEventListener('paste', onPaste)
    return () => document.removeEventListener('paste', onPaste)
  }, [])

  return (
    <section class="try-it" aria-labelledby="try-it">
      <h2 id="try-it">Try it</h2>
      <div class="choices">
        <label>
          Look for
          <select value={purpose?.id} onChange={({ currentTarget: { value } }) => {
            setPurposeId(value)
            const next = PURPOSES.find(({ id }) => id === value)
            if (!picture || !next) return
            const better = nodes.find((other) => serves(other, next.tasks))
            void look(picture, next, node && serves(node, next.tasks) ? node : better)
          }}>
            {PURPOSES.map((one) => (
              <option key={one.id} value={one.id} disabled={!offered.includes(one)}>
                {one.name}{!offered.includes(one) && ' (not served)'}
              </option>
            ))}
          </select>
        </label>
        {nodes.length > 1 && (
          <label>
            On
            <select value={node?.id} onChange={({ currentTarget: { value } }) => {
              setNodeId(value)
              if (picture) void look(picture, purpose, able.find(({ id }) => id === value))
            }}>
              {able.map(({ id, key }) => <option key={id} value={id}>{key}</option>)}
            </select>
          </label>
        )}
      </div>
      <div class={over ? 'drop over' : 'drop'}
        onDragOver={(event) => {
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault()
          setOver(false)
          const file = event.dataTransfer?.files[0]
          void take(file, file?.name ?? '')
        }}>
        {camera
          ? <Camera onFrame={(frame) => look(frame, purpose, node)} onClose={() => setCamera(false)} />
          : (
            <p>
              <span>Drop or paste a picture here, or</span>
              <label class="button primary">
                Choose a picture
                <input type="file" class="hidden" accept="image/*" onChange={({ currentTarget }) => {
                  const file = currentTarget.files?.[0]
                  currentTarget.value = ''
                  void take(file, file?.name ?? '')
                }} />
              </label>
              <button type="button" onClick={() => setCamera(true)}>Use the camera</button>
            </p>
          )}
      </div>
      <p class="summary" role="status">{busy ? 'Looking …' : outcome ? summaryOf(outcome.marks) : ''}</p>
      {failure && <Failure notice={failure} />}
      {picture?.bitmap && (
        <ResultCanvas bitmap={picture.bitmap} marks={(outcome ?? EMPTY).marks}
          label={`${picture.name}. ${outcome ? summaryOf(outcome.marks) : 'Nothing known yet'}`} />
      )}
      {outcome && <Timings timings={outcome.timings} />}
      {outcome && outcome.marks.length > 0 && <Findings marks={outcome.marks} />}
    </section>
  )
}

function serves({ lost, service_state: services }: Node, tasks: readonly string[]): boolean {
  return !lost && tasks.every((task) => task in services)
}
