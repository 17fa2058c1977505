/** `edge-infer status`: the cluster in a terminal. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { PeerClient, type ClusterView, type NodeView } from '../cluster/index.js'
import { EdgeInferError } from '../errors.js'
import { print, printLine } from './output.js'
import { interruptSignal } from './signals.js'
import { drawCluster } from './status-view.js'

const DEFAULT_URL = 'http://127.0.0.1:5500'
const DEFAULT_COLUMNS = 80
const TIMEOUT_MS = 5000
const MAX_BYTES = 64 << 20
const WATCH_INTERVAL_MS = 1000

const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'
const ALTERNATE_SCREEN = '\x1b[?1049h\x1b[?25l'
const MAIN_SCREEN = '\x1b[?25h\x1b[?1049l'

interface StatusOptions {
  watch?: boolean
  json?: boolean
  ca?: string
}

export function configure(command: Command): void {
  command
    .argument('[url]', `A cloud shows its cluster, a host itself (default: ${DEFAULT_URL}) [EDGE_INFER_URL]`)
    .option('--watch', 'Draw it anew every second, until Ctrl-C')
    .option('--json', 'The answer of /nodes as it came')
    .option('--ca <file>', 'Certificate in PEM of the authority to trust for https [EDGE_INFER_CA]')
    .addHelpText('after',
      '\nROLE with * is an older node, which the cloud asks for its status. GPU: percent busy, and of its memory (m).')
    .action((url: string | undefined, options: StatusOptions) => status(
      url ?? process.env.EDGE_INFER_URL ?? DEFAULT_URL, options,
    ))
}

async function status(url: string, { watch = false, json = false, ca }: StatusOptions): Promise<void> {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new EdgeInferError('BAD_OPTION', `Expected the URL of a node, such as ${DEFAULT_URL}, but received ${url}`)
  }
  const peer = new PeerClient({
    ca: readCa(ca ?? process.env.EDGE_INFER_CA), timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES,
  })
  try {
    if (watch) await watchCluster(peer, url, json)
    else printLine(show(await ask(peer, url), url, json))
  } finally {
    await peer.close()
  }
}

async function watchCluster(peer: PeerClient, url: string, json: boolean): Promise<void> {
  const signal = interruptSignal()
  const screen = process.stdout.isTTY && !json
  if (screen) print(ALTERNATE_SCREEN)
  try {
    while (!signal.aborted) {
      const text = await ask(peer, url).then((view) => show(view, url, json), explain)
      if (screen) redraw(text)
      else printLine(text)
      await delay(WATCH_INTERVAL_MS, undefined, { signal }).catch(() => {})
    }
  } finally {
    if (screen) print(MAIN_SCREEN)
  }
}

/** Without flicker, and no higher than the terminal. */
function redraw(text: string): void {
  const lines = text.split('\n')
  const { rows = lines.length } = process.stdout
  const shown = lines.length > rows ? [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`] : lines
  print(HOME + shown.map((line) => line + CLEAR_LINE).join('\n') + CLEAR_BELOW)
}

function show(view: ClusterView, url: string, json: boolean): string {
  if (json) return JSON.stringify(view)
  const { isTTY = false, columns = Number(process.env.COLUMNS) || DEFAULT_COLUMNS } = process.stdout
  return drawCluster(view, { url, columns, colour: isTTY && !process.env.NO_COLOR })
}

/** While watching, a node that is away for a moment is no reason to stop. */
function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** @throws EdgeInferError NODE_UNREACHABLE, BAD_REPLY */
async function ask(peer: PeerClient, url: string): Promise<ClusterView> {
  const address = new URL('/nodes', url).href
  const { status, body } = await peer.get(address).catch((cause: Error) => {
    throw new EdgeInferError('NODE_UNREACHABLE', `No answer from ${url}: ${cause.message || cause.name}`, { cause })
  })
  const { nodes } = (body ?? {}) as { nodes?: unknown }
  if (status === 200 && Array.isArray(nodes) && nodes.every(isNode)) return body as ClusterView
  throw new EdgeInferError('BAD_REPLY', `Expected the nodes of a cluster from ${address} but received status ${status}`)
}

function isNode(value: unknown): value is NodeView {
  const { key, device_state: device, service_state: services } = (value ?? {}) as Partial<NodeView>
  return typeof key === 'string' && isObject(device) && isObject(services)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function readCa(file: string | undefined): string | undefined {
  if (!file) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new EdgeInferError('BAD_OPTION', `The file of --ca cannot be read: ${(cause as Error).message}`, { cause })
  }
}
