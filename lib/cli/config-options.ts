/** The options of `edge-infer serve`: one entry each, whether given as an argument, a variable or in a file. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { delimiter, resolve } from 'node:path'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { MIN_INTERVAL_MS, MAX_INTERVAL_MS } from '../cluster/index.js'
import { DeviceSchema } from '../tasks/model-context.js'
import { TASK_NAMES, type TaskName } from '../tasks/registry.js'
import { expectationOf } from '../validation.js'
import type { ModelContext } from '../workers/index.js'

export interface TaskWorkers {
  workers: number
  modelContext?: ModelContext | undefined
}

interface Advertised {
  ip: string
  port: number | undefined
}

export interface OptionSpec<T = unknown> {
  /** Of commander. */
  flag: string
  /** Name of its own of the variable, and of the member of a file. */
  variable: string
  member: string
  description: string
  type: OptionType<T>
  /** What holds where it is not given. */
  initial: T
}

/** What the value of an option is in a file, and how text and that value are read. */
interface OptionType<T> {
  schema: TSchema
  /** From an argument or a variable to what a file would have; by default as the schema's `type` says. */
  fromText?: (text: string) => unknown
  /** From a value that fits the schema; undefined refuses it. Paths are relative to `directory`. */
  resolve?: (value: never, directory: string) => T | undefined
}

/** The value of an argument or a variable; undefined where it is refused. */
export function valueOfText({ type }: OptionSpec, text: string): unknown {
  return valueOfJson({ type }, type.fromText ? type.fromText(text) : fromText(type.schema, text), '.')
}

/** The value of a member of a file in `directory`; undefined where it is refused. */
export function valueOfJson({ type }: Pick<OptionSpec, 'type'>, value: unknown, directory: string): unknown {
  if (!Value.Check(type.schema, value)) return undefined
  return type.resolve ? type.resolve(value as never, directory) : value
}

/** What an option must be, in words. */
export function expected({ type }: OptionSpec): string {
  return expectationOf(type.schema)
}

const FLAGS: Readonly<Record<string, boolean>> = { true: true, 1: true, false: false, 0: false }

function fromText(schema: TSchema, text: string): unknown {
  switch ((schema as { type?: string }).type) {
    case 'integer': return /^\d+$/.test(text) ? Number(text) : text
    case 'boolean': return FLAGS[text.toLowerCase()]
    default: return text
  }
}

function option<T>(
  flag: string, description: string, type: OptionType<T>, more?: { member?: string },
): OptionSpec<T | undefined>
function option<T>(
  flag: string, description: string, type: OptionType<T>, more: { member?: string; initial: NoInfer<T> },
): OptionSpec<T>
function option<T>(
  flag: string, description: string, type: OptionType<T>, { member, initial }: { member?: string; initial?: T } = {},
): OptionSpec<T | undefined> {
  const name = /--([a-z-]+)/.exec(flag)?.[1] ?? flag
  const snake = name.replaceAll('-', '_')
  return { flag, description, type, member: member ?? snake, variable: `EDGE_INFER_${snake.toUpperCase()}`, initial }
}

function plain<Schema extends TSchema>(schema: Schema): OptionType<Static<Schema>> {
  return { schema }
}

function integer(minimum: number, maximum: number): OptionType<number> {
  return plain(Type.Integer({ minimum, maximum }))
}

const flag = plain(Type.Boolean())

const path: OptionType<string> = {
  schema: Type.String({ minLength: 1, expected: 'a file' }),
  resolve: (value: string, directory) => resolve(directory, value),
}

const directories: OptionType<string> = {
  schema: Type.String({ expected: 'a directory, or several with colons between them' }),
  resolve(value: string, directory) {
    const parts = value.split(delimiter).filter(Boolean).map((part) => resolve(directory, part))
    return parts.length === 0 ? undefined : parts.join(delimiter)
  },
}

const MAX_WORKERS = 256
const WorkerCount = Type.Integer({ minimum: 1, maximum: MAX_WORKERS })
const TaskSetting = Type.Union([WorkerCount, Type.Object({
  workers: Type.Optional(WorkerCount), model_ctx: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})])

const tasks: OptionType<Partial<Record<TaskName, TaskWorkers>>> = {
  schema: Type.Object(Object.fromEntries(TASK_NAMES.map((name) => [name, Type.Optional(TaskSetting)])), {
    additionalProperties: false,
    minProperties: 1,
    expected: `tasks with their number of workers (1 to ${MAX_WORKERS}), such as ${TASK_NAMES[0]}=2; ` +
      `tasks are ${TASK_NAMES.join(', ')}`,
  }),
  fromText: (value) => Object.fromEntries(value.split(/[\s,]+/).filter(Boolean).map((pair) => {
    const [, name = pair, count = '1'] = /^([^=]*)(?:=(\d+))?$/.exec(pair) ?? []
    return [name, Number(count)]
  })),
  resolve: (value: Record<string, Static<typeof TaskSetting>>) => Object.fromEntries(
    Object.entries(value).map(([name, setting]) => {
      const { workers = 1, model_ctx: modelContext } = typeof setting === 'number' ? { workers: setting } : setting
      return [name, { workers, modelContext }]
    })),
}

const rendered: OptionType<TaskName[]> = {
  schema: Type.Array(Type.Enum([...TASK_NAMES]), { expected: `tasks, out of ${TASK_NAMES.join(', ')}` }),
  fromText: (value) => value.split(/[\s,]+/).filter(Boolean),
}

const advertised: OptionType<Advertised> = {
  schema: Type.String({ expected: 'ip or ip:port, an IPv6 address with a port in brackets' }),
  resolve(value: string) {
    if (isIP(value)) return { ip: value, port: undefined }
    const [, bracketed, bare, port] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(value) ?? []
    const ip = bracketed ?? bare
    if (ip === undefined || !isIP(ip) || Number(port) < 1 || Number(port) > 65_535) return undefined
    return { ip, port: Number(port) }
  },
}

const A_TOKEN = 'a token of 8 characters or more, without spaces'
const Token = Type.String({ pattern: '^\\S{8,}$', expected: A_TOKEN })
const token = plain(Token)

/** The file is read here, so that a file that is not there is a wrong option. */
const tokenFile: OptionType<string> = {
  schema: Type.String({ expected: `a readable file that holds ${A_TOKEN}` }),
  resolve(value: string, directory) {
    try {
      const held = readFileSync(resolve(directory, value), 'utf8').trim()
      return Value.Check(Token, held) ? held : undefined
    } catch {
      return undefined
    }
  },
}

const nodeUrl: OptionType<string> = {
  schema: Type.String({ expected: 'the URL of a cloud, such as http://192.168.1.20:5500' }),
  resolve: (value: string) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) ? value : undefined,
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export const CONFIG_OPTION = option('--config <file>', 'A JSON file with any of these options', path)

export const TOKEN_FILE_OPTION = option('--token-file <file>', 'A file that holds the token', tokenFile)

export const SERVE_OPTIONS = {
  host: option('--host <address>', 'Address to listen on; 0.0.0.0 for all (default: 127.0.0.1)', plain(Type.String({
    minLength: 1, expected: 'an address',
  })), {
    initial: '127.0.0.1',
  }),
  port: option(
    '--port <number>', 'Port to listen on; 0 for any (default: 5500)', integer(0, 65_535), { initial: 5500 },
  ),
  tasks: option('--task <name=workers...>', 'Tasks to serve, repeatable (default: all, one worker each)', tasks, {
    member: 'tasks', initial: Object.fromEntries(TASK_NAMES.map((task) => [task, { workers: 1 }])),
  }),
  models: option('--models <directory>', 'Where model files are looked for first', directories),
  render: option(
    '--render <task...>', 'Tasks whose answers have the picture with what was found, asked for or not', rendered,
    { initial: [] },
  ),
  device: option(
    '--device <name>', 'cpu, cuda[:n] or tensorrt[:n] (default: cpu)', plain(DeviceSchema), { initial: 'cpu' },
  ),
  threads: option('--threads <number>', 'The most threads of one worker', integer(1, 1024)),
  queue_size: option('--queue-size <number>', 'Requests that may wait at one worker', integer(1, 100_000)),
  token: option('--token <text>', 'Bearer token that control routes ask for', token),
  open_control: option(
    '--open-control', 'Without a token: let any caller use the control routes', flag, { initial: false },
  ),
  trace: option(
    '--trace', 'Send traces to the OpenTelemetry collector of OTEL_EXPORTER_OTLP_ENDPOINT', flag, { initial: false },
  ),
  log_level: option('--log-level <name>', `${LOG_LEVELS.join(', ')} (default: info)`, plain(Type.Enum([...LOG_LEVELS])),
    {
      initial: 'info',
    }),
  advertise: option('--advertise <ip[:port]>', 'Address that others reach this node at', advertised),
  role: option('--role <name>', 'cloud: others may join it; host: joins the --cloud (default: cloud)',
    plain(Type.Enum(['cloud', 'host'], { expected: 'cloud or host' })), { initial: 'cloud' }),
  cloud: option('--cloud <url>', 'Of a host: the cloud it joins', nodeUrl),
  cloud_token: option('--cloud-token <text>', "Of a host: the cloud's token (default: --token)", token),
  heartbeat_interval: option('--heartbeat-interval <ms>', 'Of a host: milliseconds between heartbeats (default: 2000)',
    integer(MIN_INTERVAL_MS, MAX_INTERVAL_MS)),
  edge_port: option(
    '--edge-port <number>', 'Of a cloud: port that older nodes listen on (default: 5501)', integer(1, 65_535),
  ),
  edge_poll_interval: option('--edge-poll-interval <ms>',
    'Of a cloud: milliseconds between questions to an older node (default: 17000)',
    integer(MIN_INTERVAL_MS, 3_600_000)),
  open_registration: option('--open-registration',
    'With a token: let older nodes, which cannot send it, join all the same', flag,
    { initial: false }),
  tls_cert: option('--tls-cert <file>', 'Certificate chain in PEM: serve https; with --tls-key', path),
  tls_key: option('--tls-key <file>', 'Private key in PEM', path),
  ca: option('--ca <file>', "Of a host: certificate in PEM of the authority to trust for its cloud's", path),
}

export type ServeConfig = { [Name in keyof typeof SERVE_OPTIONS]: (typeof SERVE_OPTIONS)[Name]['initial'] }
