import type { Notice } from '../actions'

/** A refusal as the node words it, read out at once. */
export function Failure({ notice: { code, text } }: { notice: Notice }) {
  return (
    <p class="failure" role="alert">
      {code !== undefined && <code>{code}</code>} {text}
    </p>
  )
}
