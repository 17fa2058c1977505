/** Where a model runs: `cpu`, `cuda[:n]`, `tensorrt[:n]`. */
import type { ErrorCode } from '../errors.js'
import type { DeviceKind } from '../native.js'
import { refuse } from './options.js'

export interface Device {
  kind: DeviceKind
  /** Number of the GPU. */
  index: number
}

/** @throws EdgeInferError BAD_OPTION (or `code`) for anything else. */
export function parseDevice(text: unknown, code?: ErrorCode): Device {
  const match = typeof text === 'string' ? /^(cpu|cuda|tensorrt)(?::(\d{1,3}))?$/.exec(text) : null
  if (!match || (match[1] === 'cpu' && match[2] !== undefined)) {
    refuse('device', 'cpu, cuda[:n] or tensorrt[:n]', text, code)
  }
  return { kind: match[1] as DeviceKind, index: Number(match[2] ?? 0) }
}
