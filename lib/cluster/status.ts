/** What a node says of itself, and what of that is believed. */
import { EdgeInferError } from '../errors.js'
import { parseDeviceState, type DeviceState } from '../node/index.js'

export type NodeRole = 'cloud' | 'host'

/** One worker in `service_state`; ratios are percent of the whole machine. */
export interface WorkerState {
  pid: number
  cpu_util_limit: number
  mem_util_limit: number
  cpu_ratio: number
  mem_ratio: number
  task_to_do: number
}

/** What is allotted to one task. */
export interface ServiceState {
  cpu_util_limit: number
  mem_util_limit: number
  workers: WorkerState[]
}

export interface NodeStatus {
  device_state: DeviceState
  /** Tasks with a live worker, and what each is allotted. */
  service_state: Record<string, ServiceState>
}

/** A heartbeat: a host's address and status. */
export interface Heartbeat extends NodeStatus {
  /** As callers reach the node; the address the beat came from when absent. */
  ip?: string | undefined
  port: number
  /** `https` where the node serves TLS. */
  scheme: 'http' | 'https'
  /** Milliseconds until the next beat. */
  interval_ms: number
}

/** Bounds on what another node may claim. */
const MOST_SERVICES = 64
const MOST_WORKERS = 256
const TASK = /^[A-Za-z0-9_-]{1,64}$/
const ADDRESS = /^[A-Za-z0-9.:_-]{1,253}$/
const LEAST_INTERVAL_MS = 100
const MOST_INTERVAL_MS = 60_000

/**
 * A heartbeat another node sent. Figures out of range are brought into it; what cannot be understood is refused.
 * @throws EdgeInferError BAD_REQUEST
 */
export function parseHeartbeat(body: unknown): Heartbeat {
  if (!isRecord(body)) throw bad('a JSON object', body)
  const { ip, port, scheme = 'http', interval_ms: interval } = body
  if (ip !== undefined && (typeof ip !== 'string' || !ADDRESS.test(ip))) throw bad('ip to be an address', ip)
  const deviceState = parseDeviceState(body['device_state'])
  if (!deviceState) throw bad('device_state as in the interface document', body['device_state'])
  return {
    ip,
    port: parsePort(port),
    scheme: scheme === 'https' ? 'https' : 'http',
    interval_ms: clampNumber(interval, LEAST_INTERVAL_MS, MOST_INTERVAL_MS, 2000),
    device_state: deviceState,
    service_state: parseServiceState(body['service_state']),
  }
}

/** @throws EdgeInferError BAD_REQUEST */
export function parsePort(port: unknown): number {
  if (typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65535) return port
  throw bad('port to be a whole number from 1 to 65535', port)
}

function parseServiceState(value: unknown): Record<string, ServiceState> {
  if (!isRecord(value)) return {}
  const services = Object.entries(value).filter(([task, state]) => TASK.test(task) && isRecord(state))
  return Object.fromEntries(services.slice(0, MOST_SERVICES).map(([task, state]) => {
    const record = state as Record<string, unknown>
    const workers = Array.isArray(record['workers']) ? record['workers'].filter(isRecord).slice(0, MOST_WORKERS) : []
    return [task, {
      cpu_util_limit: clampNumber(record['cpu_util_limit'], 0, 1, 1),
      mem_util_limit: clampNumber(record['mem_util_limit'], 0, 1, 1),
      workers: workers.map((worker): WorkerState => ({
        pid: clampNumber(worker['pid'], 0, 2 ** 31, 0),
        cpu_util_limit: clampNumber(worker['cpu_util_limit'], 0, 1, 1),
        mem_util_limit: clampNumber(worker['mem_util_limit'], 0, 1, 1),
        cpu_ratio: clampNumber(worker['cpu_ratio'], 0, 100, 0),
        mem_ratio: clampNumber(worker['mem_ratio'], 0, 100, 0),
        task_to_do: clampNumber(worker['task_to_do'], 0, 1e6, 0),
      })),
    }]
  }))
}

function clampNumber(value: unknown, least: number, most: number, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : otherwise
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function bad(expected: string, received: unknown): EdgeInferError {
  const text = JSON.stringify(received) ?? 'nothing'
  return new EdgeInferError('BAD_REQUEST', `Expected ${expected} but received ${text.slice(0, 80)}`)
}
