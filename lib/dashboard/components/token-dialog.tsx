import { useState } from 'preact/hooks'
import type { TokenRequest } from '../actions'
import { Dialog } from './dialog'
import { Failure } from './failure'

export function TokenDialog({ request: { node, refusal, answer } }: { request: TokenRequest }) {
  const [token, setToken] = useState('')
  return (
    <Dialog title={`Token of ${node}`} onCancel={() => answer(null)} onSubmit={() => answer(token.trim())}>
      <p>This node changes its workers only for those who know its token. It is kept until this tab is closed.</p>
      <label>
        Token
        <input type="password" autocomplete="off" spellcheck={false} required value={token}
          onInput={(event) => setToken(event.currentTarget.value)} />
      </label>
      {refusal !== undefined && <Failure notice={{ kind: 'failed', code: 'UNAUTHORIZED', text: refusal }} />}
      <div class="actions">
        <button type="button" onClick={() => answer(null)}>Cancel</button>
        <button type="submit" class="primary">Use token</button>
      </div>
    </Dialog>
  )
}
