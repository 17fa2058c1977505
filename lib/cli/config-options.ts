/** The options of `edge-infer serve`: one entry each, whether given as an argument, a variable or in a file. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { delimiter, resolve } from 'node:path'
import { MIN_INTERVAL_MS, MAX_INTERVAL_MS, type NodeRole } from '../cluster/index.js'
import { TASK_NAMES, type TaskName } from '../tasks/registry.js'
import { parseDevice } from '../inference/device.js'
import { isTaskName } from '../tasks/index.js'
import type { ModelContext } from '../workers/index.js'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export interface TaskWorkers {
  workers: number
  modelContext?: ModelContext | undefined
}

export interface Advertised {
  ip: string
  port: number | undefined
}

export interface ServeConfig {
  host: string
  port: number
  tasks: Partial<Record<TaskName, TaskWorkers>>
  models: string | undefined
  device: string
  threads: number | undefined
  queue_size: number | undefined
  token: string | undefined
  open_control: boolean
  trace: boolean
  log_level: (typeof LOG_LEVELS)[number]
  advertise: Advertised | undefined
  role: NodeRole
  cloud: string | undefined
  cloud_token: string | undefined
  /** Milliseconds. */
  heartbeat_interval: number | undefined
  edge_port: number | undefined
  /** Milliseconds. */
  edge_poll_interval: number | undefined
  open_registration: boolean
  tls_cert: string | undefined
  tls_key: string | undefined
  ca: string | undefined
}

/** What an option's value may be; `undefined` from a reader says that the value is none of these. */
export interface OptionType<T> {
  expected: string
  /** From an argument or a variable. */
  fromText(text: string): T | undefined
  /** From a file in `directory`. */
  fromJson(value: unknown, directory: string): T | undefined
}

export interface OptionSpec<T> {
  /** Of commander. */
  flag: string
  /** Name of its own of the variable, and of the member of a file. */
  variable: string
  member: string
  description: string
  type: OptionType<T>
}

const MAX_WORKERS = 256

function text(expected: string, valid: (text: string) => boolean = (value) => value !== ''): OptionType<string> {
  const check = (value: unknown): string | undefined => typeof value === 'string' && valid(value) ? value : undefined
  return { expected, fromText: check, fromJson: check }
}

/** Paths in a file are relative to the file. */
function path(expected: string): OptionType<string> {
  return {
    expected,
    fromText: (value) => value === '' ? undefined : resolve(value),
    fromJson: (value, directory) => typeof value === 'string' && value !== '' ? resolve(directory, value) : undefined,
  }
}

function integer(least: number, most: number): OptionType<number> {
  const check = (value: unknown): number | undefined =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : undefined
  return {
    expected: `a whole number from ${least} to ${most}`,
    fromText: (value) => /^\d+$/.test(value) ? check(Number(value)) : undefined,
    fromJson: check,
  }
}

const flag: OptionType<boolean> = {
  expected: 'true or false',
  fromText: (value) => ({ true: true, 1: true, false: false, 0: false } as Record<string, boolean>)[value.toLowerCase()],
  fromJson: (value) => typeof value === 'boolean' ? value : undefined,
}

const directories: OptionType<string> = {
  expected: 'a directory, or several with colons between them',
  fromText: (value) => resolveAll(value, '.'),
  fromJson: (value, directory) => typeof value === 'string' ? resolveAll(value, directory) : undefined,
}

function resolveAll(value: string, directory: string): string | undefined {
  const parts = value.split(delimiter).filter(Boolean).map((part) => resolve(directory, part))
  return parts.length === 0 ? undefined : parts.join(delimiter)
}

const tasks: OptionType<ServeConfig['tasks']> = {
  expected: `tasks with their number of workers (1 to ${MAX_WORKERS}), such as face_detection=2; ` +
    `tasks are ${TASK_NAMES.join(', ')}`,
  fromText(value) {
    const pairs = value.split(/[\s,]+/).filter(Boolean).map((pair) => pair.split('='))
    if (pairs.some(({ length }) => length > 2)) return undefined
    return checkTasks(pairs.map(([name = '', count = '1']) => [name, /^\d+$/.test(count) ? Number(count) : undefined]))
  },
  fromJson: (value) => isRecord(value) ? checkTasks(Object.entries(value)) : undefined,
}

function checkTasks(entries: readonly (readonly [string, unknown])[]): ServeConfig['tasks'] | undefined {
  const checked: ServeConfig['tasks'] = {}
  for (const [name, value] of entries) {
    const workers = isRecord(value) ? value.workers ?? 1 : value
    const modelContext = isRecord(value) ? value.model_ctx : undefined
    if (!isTaskName(name) || typeof workers !== 'number') return undefined
    if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) return undefined
    if (modelContext !== undefined && !isRecord(modelContext)) return undefined
    checked[name] = { workers, modelContext }
  }
  return entries.length === 0 ? undefined : checked
}

const advertised: OptionType<Advertised> = {
  expected: 'ip or ip:port, an IPv6 address with a port in brackets',
  fromText: parseAdvertised,
  fromJson: (value) => typeof value === 'string' ? parseAdvertised(value) : undefined,
}

function parseAdvertised(value: string): Advertised | undefined {
  if (isIP(value)) return { ip: value, port: undefined }
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(value) ?? []
  const ip = bracketed ?? plain
  if (ip === undefined || !isIP(ip) || Number(port) < 1 || Number(port) > 65_535) return undefined
  return { ip, port: Number(port) }
}

const device = text('cpu, cuda[:n] or tensorrt[:n]', (value) => {
  try {
    return Boolean(parseDevice(value))
  } catch {
    return false
  }
})

const token = text('a token of 8 characters or more, without spaces', (value) => /^\S{8,}$/.test(value))

/** The file is read here, so that a file that is not there is a wrong option. */
const tokenFile: OptionType<string> = {
  expected: `a readable file that holds ${token.expected}`,
  fromText: (value) => readToken(value),
  fromJson: (value, directory) => typeof value === 'string' ? readToken(resolve(directory, value)) : undefined,
}

function readToken(file: string): string | undefined {
  try {
    return token.fromText(readFileSync(file, 'utf8').trim())
  } catch {
    return undefined
  }
}

const role: OptionType<NodeRole> = {
  expected: 'cloud or host',
  fromText: (value) => (['cloud', 'host'] as const).find((name) => name === value),
  fromJson: (value) => (['cloud', 'host'] as const).find((name) => name === value),
}

const nodeUrl = text('the URL of a cloud, such as http://192.168.1.20:5500', (value) =>
  URL.canParse(value) && /^https?:$/.test(new URL(value).protocol))

const logLevel: OptionType<ServeConfig['log_level']> = {
  expected: `one of ${LOG_LEVELS.join(', ')}`,
  fromText: (value) => LOG_LEVELS.find((level) => level === value),
  fromJson: (value) => LOG_LEVELS.find((level) => level === value),
}

function option<T>(flag: string, description: string, type: OptionType<T>, member?: string): OptionSpec<T> {
  const name = /--([a-z-]+)/.exec(flag)?.[1] ?? flag
  const snake = name.replaceAll('-', '_')
  return { flag, description, type, member: member ?? snake, variable: `EDGE_INFER_${snake.toUpperCase()}` }
}

export const CONFIG_OPTION = option('--config <file>', 'A JSON file with any of these options', path('a file'))

export const TOKEN_FILE_OPTION = option('--token-file <file>', 'A file that holds the token', tokenFile)

export const SERVE_OPTIONS: { readonly [Name in keyof ServeConfig]: OptionSpec<NonNullable<ServeConfig[Name]>> } = {
  host: option('--host <address>', 'Address to listen on; 0.0.0.0 for all (default: 127.0.0.1)', text('an address')),
  port: option('--port <number>', 'Port to listen on; 0 for any (default: 5500)', integer(0, 65_535)),
  tasks: option('--task <name=workers...>', 'Tasks to serve, repeatable (default: all, one worker each)', tasks, 'tasks'),
  models: option('--models <directory>', 'Where model files are looked for first', directories),
  device: option('--device <name>', 'cpu, cuda[:n] or tensorrt[:n] (default: cpu)', device),
  threads: option('--threads <number>', 'The most threads of one worker', integer(1, 1024)),
  queue_size: option('--queue-size <number>', 'Requests that may wait at one worker', integer(1, 100_000)),
  token: option('--token <text>', 'Bearer token that control routes ask for', token),
  open_control: option('--open-control', 'Without a token: let any caller use the control routes', flag),
  trace: option('--trace', 'Send traces to the OpenTelemetry collector of OTEL_EXPORTER_OTLP_ENDPOINT', flag),
  log_level: option('--log-level <name>', `${LOG_LEVELS.join(', ')} (default: info)`, logLevel),
  advertise: option('--advertise <ip[:port]>', 'Address that others reach this node at', advertised),
  role: option('--role <name>', 'cloud: others may join it; host: joins the --cloud (default: cloud)', role),
  cloud: option('--cloud <url>', 'Of a host: the cloud it joins', nodeUrl),
  cloud_token: option('--cloud-token <text>', "Of a host: the cloud's token (default: --token)", token),
  heartbeat_interval: option('--heartbeat-interval <ms>', 'Of a host: milliseconds between heartbeats (default: 2000)',
    integer(MIN_INTERVAL_MS, MAX_INTERVAL_MS)),
  edge_port: option('--edge-port <number>', 'Of a cloud: port that older nodes listen on (default: 5501)', integer(1, 65_535)),
  edge_poll_interval: option('--edge-poll-interval <ms>',
    'Of a cloud: milliseconds between questions to an older node (default: 17000)', integer(MIN_INTERVAL_MS, 3_600_000)),
  open_registration: option('--open-registration', 'With a token: let older nodes, which cannot send it, join all the same', flag),
  tls_cert: option('--tls-cert <file>', 'Certificate chain in PEM: serve https; with --tls-key', path('a file')),
  tls_key: option('--tls-key <file>', 'Private key in PEM', path('a file')),
  ca: option('--ca <file>', "Of a host: certificate in PEM of the authority to trust for its cloud's", path('a file')),
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
