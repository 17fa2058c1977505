/** Checks of options: each error names the option, what it expects and what it received. */
import { EdgeInferError, received, type ErrorCode } from '../errors.js'

export function refuse(name: string, expected: string, value: unknown, code: ErrorCode = 'BAD_OPTION'): never {
  throw new EdgeInferError(code, `Expected ${expected} for ${name} but received ${received(value)}`)
}

/** `value` when it is a number in [least, most]; undefined passes. */
export function numberIn(
  name: string, value: unknown, least: number, most: number, code?: ErrorCode,
): number | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    refuse(name, `a number from ${least} to ${most}`, value, code)
  }
  return value
}

/** `value` when it is a whole number in [least, most]; undefined passes. */
export function integerIn(
  name: string, value: unknown, least: number, most: number, code?: ErrorCode,
): number | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    refuse(name, `a whole number from ${least} to ${most}`, value, code)
  }
  return value
}

/** `value` when it is a list of class ids; undefined passes. */
export function classIds(name: string, value: unknown, code?: ErrorCode): readonly number[] | undefined {
  if (value === undefined) return undefined
  const valid = Array.isArray(value) && value.length > 0 && value.every((id) => Number.isInteger(id) && id >= 0)
  if (!valid) refuse(name, 'a list of class ids (whole numbers from 0)', value, code)
  return value as number[]
}
