/** Heartbeats, and what another node may claim in one. */
import { EdgeInferError, received } from '../errors.js'
import { parseDeviceState } from '../host/index.js'
import { validator } from '../validation.js'
import { fromReported, toWire, type WireEffectiveLimits } from '../workers/limits/index.js'
import type { NodeAddress } from './address.js'
import { DeregisterBody, HeartbeatHead } from './schema.js'
import type { NodeStatus, ServiceState, WorkerState } from './types.js'

/** A heartbeat: a host's address and status. */
export interface Heartbeat extends NodeStatus {
  /** Made anew by each process, and sent to its cloud alone: shows that the same process sends the next heartbeat. */
  instance?: string | undefined
  /** As callers reach the node; the address the heartbeat came from when absent. */
  ip: string | undefined
  port: number
  /** `https` where the node serves TLS. */
  scheme: NodeAddress['scheme']
  /** Milliseconds until the next heartbeat. */
  interval_ms: number
}

/** Bounds on what another node may claim. */
const MAX_SERVICES = 64
const MAX_WORKERS = 256
/** A name of a task that may be passed on. */
const TASK = /^[A-Za-z0-9_-]{1,64}$/
const MAX_MODEL_NAME = 128
const MAX_LATENCY_MS = 3_600_000
export const MIN_INTERVAL_MS = 100
export const MAX_INTERVAL_MS = 60_000
export const DEFAULT_INTERVAL_MS = 2000
/** How often nodes of 2024 tell their status. */
export const TELL_INTERVAL_MS = 3000

const checkHeartbeat = validator(HeartbeatHead, 'BAD_REQUEST', 'the body')
export const parseDeregistration = validator(DeregisterBody, 'BAD_REQUEST', 'the body')

/**
 * A heartbeat another node sent. Numbers out of range are clamped.
 * @throws EdgeInferError BAD_REQUEST
 */
export function parseHeartbeat(body: unknown): Heartbeat {
  const { ip, port, instance, scheme = 'http', interval_ms: interval } = checkHeartbeat(body)
  return {
    ip: ip ?? undefined,
    port,
    instance,
    scheme,
    interval_ms: clampNumber(interval, MIN_INTERVAL_MS, MAX_INTERVAL_MS, DEFAULT_INTERVAL_MS),
    ...parseStatus(body as ReportedStatus),
  }
}

/** As another node reported it. */
export type ReportedStatus = Partial<Readonly<Record<keyof NodeStatus, unknown>>>

/** @throws EdgeInferError BAD_REQUEST */
export function parseStatus({ device_state: device, service_state: services }: ReportedStatus): NodeStatus {
  const deviceState = parseDeviceState(device)
  if (deviceState) return { device_state: deviceState, service_state: parseServiceState(services) }
  const expected = 'Expected device_state as in the interface document'
  throw new EdgeInferError('BAD_REQUEST', `${expected} but received ${received(device)}`)
}

function parseServiceState(value: unknown): Record<string, ServiceState> {
  if (!isRecord(value)) return {}
  const services: [string, ServiceState][] = []
  for (const [task, state] of Object.entries(value)) {
    if (services.length === MAX_SERVICES) break
    if (!TASK.test(task) || !isRecord(state)) continue
    const workers = Array.isArray(state['workers']) ? state['workers'].slice(0, MAX_WORKERS).filter(isRecord) : []
    services.push([task, { ...parseLimits(state), workers: workers.map(parseWorker) }])
  }
  return Object.fromEntries(services)
}

function parseLimits(state: Record<string, unknown>): WireEffectiveLimits {
  return toWire(fromReported((_, key) => clampNumber(state[key], 0, 1, 1)))
}

function parseWorker(worker: Record<string, unknown>): WorkerState {
  const { model } = worker
  return {
    pid: Math.round(clampNumber(worker['pid'], 0, 2 ** 31, 0)),
    model: typeof model === 'string' ? model.slice(0, MAX_MODEL_NAME).replace(/\p{Cc}/gu, '') : '',
    ...parseLimits(worker),
    cpu_ratio: clampNumber(worker['cpu_ratio'], 0, 100, 0),
    mem_ratio: clampNumber(worker['mem_ratio'], 0, 100, 0),
    task_to_do: Math.round(clampNumber(worker['task_to_do'], 0, 1e6, 0)),
    p50_ms: clampNumber(worker['p50_ms'], 0, MAX_LATENCY_MS, null),
    p99_ms: clampNumber(worker['p99_ms'], 0, MAX_LATENCY_MS, null),
  }
}

function clampNumber<T>(value: unknown, min: number, max: number, otherwise: T): number | T {
  return typeof value === 'number' && Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : otherwise
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
