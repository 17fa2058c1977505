import type { Mark } from './run'
import { colourOf } from './draw'

/** How many of each kind, in a sentence. */
export function summaryOf(marks: readonly Mark[]): string {
  if (marks.length === 0) return 'Nothing found'
  const counts = new Map<string, number>()
  for (const { label } of marks) counts.set(label, (counts.get(label) ?? 0) + 1)
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
            {marks.map(({ label, score, pose, box }, index) => (
              <tr key={index}>
                <th scope="row"><Swatch colour={colourOf(label)} /> {label}</th>
                <td class="number">{score?.toFixed(2)}</td>
                {posed && [0, 1, 2].map((axis) => <td key={axis} class="number">{pose?.[axis]?.toFixed(0)}°</td>)}
                <td>{box.map(Math.round).join(', ')}</td>
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
