/** Heartbeats, and what another node may claim in one. */
import { isIP } from 'node:net'
import { EdgeInferError } from '../errors.js'
import { parseDeviceState } from '../host/index.js'
import { fromReported, toWire, type WireEffectiveLimits } from '../workers/limits/index.js'
import type { NodeAddress } from './address.js'
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
const TASK = /^[A-Za-z0-9_-]{1,64}$/
const MAX_MODEL_NAME = 128
const MAX_LATENCY_MS = 3_600_000
export const MIN_INTERVAL_MS = 100
export const MAX_INTERVAL_MS = 60_000
export const DEFAULT_INTERVAL_MS = 2000

/**
 * A heartbeat another node sent. Numbers out of range are clamped.
 * @throws EdgeInferError BAD_REQUEST
 */
export function parseHeartbeat(body: unknown): Heartbeat {
  const address = parseAddress(body)
  const { scheme, interval_ms: interval, ...status } = body as Record<string, unknown>
  const { device_state: device, service_state: services } = status
  const deviceState = parseDeviceState(device)
  if (!deviceState) throw bad('device_state as in the interface document', device)
  return {
    ...address,
    scheme: scheme === 'https' ? 'https' : 'http',
    interval_ms: clampNumber(interval, MIN_INTERVAL_MS, MAX_INTERVAL_MS, DEFAULT_INTERVAL_MS),
    device_state: deviceState,
    service_state: parseServiceState(services),
  }
}

/** The address in a heartbeat or a deregistration. @throws EdgeInferError BAD_REQUEST */
export function parseAddress(body: unknown): Pick<Heartbeat, 'ip' | 'port' | 'instance'> {
  if (!isRecord(body)) throw bad('a JSON object', body)
  const { ip, port, instance } = body
  if (ip !== undefined && ip !== null && (typeof ip !== 'string' || isIP(ip) === 0)) {
    throw bad('ip to be an IP address', ip)
  }
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw bad('port to be a whole number from 1 to 65535', port)
  }
  return { ip: ip ?? undefined, port, instance: parseInstance(instance) }
}

function parseInstance(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w-]{8,64}$/.test(value) ? value : undefined
}

export function parseServiceState(value: unknown): Record<string, ServiceState> {
  if (!isRecord(value)) return {}
  const services: [string, ServiceState][] = []
  for (const [task, state] of Object.entries(value)) {
    if (services.length === MAX_SERVICES) break
    if (!isTaskId(task) || !isRecord(state)) continue
    const workers = Array.isArray(state['workers']) ? state['workers'].slice(0, MAX_WORKERS).filter(isRecord) : []
    services.push([task, { ...parseLimits(state), workers: workers.map(parseWorker) }])
  }
  return Object.fromEntries(services)
}

/** Whether another node's name of a task may be passed on. */
export function isTaskId(task: unknown): task is string {
  return typeof task === 'string' && TASK.test(task)
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

function bad(expected: string, received: unknown): EdgeInferError {
  const text = JSON.stringify(received) ?? 'nothing'
  return new EdgeInferError('BAD_REQUEST', `Expected ${expected} but received ${text.slice(0, 80)}`)
}
