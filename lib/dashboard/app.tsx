import { ActionsContext, useActionsOfPage } from './actions'
import { Failure } from './components/failure'
import { NodeCard } from './components/node-card'
import { Services } from './components/services'
import { TokenDialog } from './components/token-dialog'
import { useLiveState } from './live-state'
import { TryIt } from './try-it/try-it'

export function App() {
  const { state, histories, live } = useLiveState()
  const { actions, notice, request } = useActionsOfPage()
  const nodes = state?.nodes ?? []
  return (
    <ActionsContext.Provider value={actions}>
      <header class="page">
        <h1>edge-infer</h1>
        {state && <span class="badge">{state.role}</span>}
        <p class={live ? 'connection live' : 'connection'} role="status">
          {live ? 'Live' : state ? 'Disconnected: trying again' : 'Connecting'}
        </p>
        <nav aria-label="Places">
          <a href="#try-it">Try it</a>
          {state?.upstream && <a href={state.upstream.cloud}>Its cloud</a>}
          <a href="docs">API</a>
        </nav>
      </header>
      <div class="notices">
        <div role="status">{notice?.kind === 'done' && <p class="done">{notice.text}</p>}</div>
        {notice?.kind === 'failed' && <Failure notice={notice} />}
        {notice && (
          <button type="button" class="small" aria-label="Close the message" onClick={() => actions.tell(undefined)}>
            ✕
          </button>
        )}
      </div>
      <main class={live || !state ? '' : 'stale'}>
        <section class="cluster" aria-labelledby="nodes">
          <h2 id="nodes">{nodes.length > 1 ? `Cluster of ${nodes.length} nodes` : 'Node'}</h2>
          <Services nodes={nodes} />
          {nodes.map((node) => <NodeCard key={node.id} node={node} history={histories.get(node.id)} />)}
        </section>
        <TryIt nodes={nodes} />
      </main>
      {request && <TokenDialog request={request} key={request.refusal} />}
    </ActionsContext.Provider>
  )
}
