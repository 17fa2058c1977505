/** What buttons do to nodes, and what becomes of it. */
import { createContext } from 'preact'
import { useCallback, useContext, useMemo, useState } from 'preact/hooks'
import { ApiError, control, keepToken, tokenOf, type Answer, type Control } from './api'
import { baseOf, type Node } from './state'

export interface Notice {
  kind: 'done' | 'failed'
  text: string
  code?: string
}

/** A node that wants its token before it does something. */
export interface TokenRequest {
  node: string
  /** What it said of the one it was sent. */
  refusal: string | undefined
  /** `null`: the user would rather not. */
  answer: (token: string | null) => void
}

export interface Actions {
  /** Asks for the token where one is wanted. @throws ApiError */
  run(node: Node, call: Control): Promise<Answer>
  /** The same; the outcome is shown and announced. */
  runAloud(node: Node, call: Control, done: (answer: Answer) => string): Promise<void>
  tell(notice: Notice | undefined): void
}

export const ActionsContext = createContext<Actions | undefined>(undefined)

export function useActions(): Actions {
  const actions = useContext(ActionsContext)
  if (!actions) throw new Error('There are no actions above this component')
  return actions
}

export interface PageActions {
  actions: Actions
  notice: Notice | undefined
  request: TokenRequest | undefined
}

export function useActionsOfPage(): PageActions {
  const [notice, tell] = useState<Notice>()
  const [request, setRequest] = useState<TokenRequest>()

  const askToken = useCallback((node: string, refusal: string | undefined) => new Promise<string | null>((resolve) => {
    setRequest({
      node,
      refusal,
      answer: (token) => {
        setRequest(undefined)
        resolve(token)
      },
    })
  }), [])

  const actions = useMemo<Actions>(() => {
    async function run(node: Node, call: Control): Promise<Answer> {
      const base = baseOf(node)
      for (;;) {
        try {
          return await control(base, call)
        } catch (error) {
          if (!(error instanceof ApiError) || !error.wantsToken) throw error
          const token = await askToken(node.key, tokenOf(base) === null ? undefined : error.message)
          if (token === null) throw error
          keepToken(base, token)
        }
      }
    }
    async function runAloud(node: Node, call: Control, done: (answer: Answer) => string): Promise<void> {
      tell(undefined)
      try {
        tell({ kind: 'done', text: done(await run(node, call)) })
      } catch (error) {
        tell(failureOf(error))
      }
    }
    return { run, runAloud, tell }
  }, [askToken])
  return { actions, notice, request }
}

export function failureOf(error: unknown): Notice {
  const text = error instanceof Error ? error.message : String(error)
  return { kind: 'failed', text, ...(error instanceof ApiError && { code: error.code }) }
}
