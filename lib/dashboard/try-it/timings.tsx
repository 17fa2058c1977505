import { milliseconds, taskName } from '../format'
import type { Timing } from './run'

/** Where the time of each call went. */
export function Timings({ timings }: { timings: readonly Timing[] }) {
  const longest = Math.max(...timings.map(({ roundTrip }) => roundTrip))
  return (
    <table class="timings">
      <caption>Time, ms</caption>
      <thead>
        <tr>
          <th scope="col">Call</th>
          <th scope="col">Stages</th>
          <th scope="col" class="number">Server</th>
          <th scope="col" class="number">Round trip</th>
        </tr>
      </thead>
      <tbody>
        {timings.map((timing) => (
          <tr key={timing.task}>
            <th scope="row">{taskName(timing.task)}<span class="note">pid {timing.pid}</span></th>
            <td><Stages timing={timing} longest={longest} /></td>
            <td class="number">{milliseconds(timing.server)}</td>
            <td class="number">{milliseconds(timing.roundTrip)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Stages({ timing: { stages, roundTrip }, longest }: { timing: Timing; longest: number }) {
  const spent = stages.filter(([, duration]) => duration > 0)
  let x = 0
  return (
    <>
      <svg class="bar" aria-hidden="true" viewBox="0 0 100 6" preserveAspectRatio="none">
        <rect class="rest" width={100 * roundTrip / longest} height="6" />
        {spent.map(([name, duration]) => {
          const width = 100 * duration / longest
          x += width
          return <rect key={name} class={name} x={x - width} width={width} height="6" />
        })}
      </svg>
      <ul class="stages">
        {spent.map(([name, duration]) => <li key={name} class={name}>{name} {milliseconds(duration)}</li>)}
      </ul>
    </>
  )
}
