import type { Mark } from '../../tasks/definition.js'
import { countEach } from '../../tasks/present.js'
import { colourOf } from './draw'

/** How many of each kind, in a sentence. */
export function summaryOf(marks: readonly Mark[]): string {
  if (marks.length === 0) return 'Nothing found'
  const counts = countEach(marks.map(({ label }) => label))
  return `Found ${[...counts].map(([label, count]) => `${count} × ${label}`).join(', ')}`
}

/** What is drawn, in words. */
export function Findings({ marks }: { marks: readonly Mark[] }) {
  const posed = marks.some(({ pose }) => pose)
  return (
    <details>
      <summary>Figures of each</summary>
      <div class="scroll" role="region" aria-label="Figures of each" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col" class="number">Confidence</th>
              {posed && ['Yaw', 'Pitch', 'Roll'].map((name) => <th key={name} scope="col" class="number">{name}</th>)}
              <th scope="col">Box: x1, y1, x2, y2</th>
            </tr>
          </thead>
          <tbody>
            {marks.map((mark, index) => (
              <tr key={index}>
                <th scope="row"><Swatch colour={colourOf(mark)} /> {mark.label}</th>
                <td class="number">{mark.score?.toFixed(2)}</td>
                {posed && [0, 1, 2].map((axis) => <td key={axis} class="number">{mark.pose?.[axis]?.toFixed(0)}°</td>)}
                <td>{mark.box.map(Math.round).join(', ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  )
}

function Swatch({ colour }: { colour: string }) {
  return <svg class="swatch" aria-hidden="true" viewBox="0 0 1 1"><rect width="1" height="1" fill={colour} /></svg>
}
