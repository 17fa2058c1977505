/** Limits in requests and replies as TypeBox schemas, and the check of a request. */
import { Type, type TNumber, type TSchema } from 'typebox'
import type { NodeCapacity } from '../../host/capacity.js'
import { EdgeInferError, received } from '../../errors.js'
import { validator } from '../../validation.js'
import { REPORTED, RESOURCE_ROWS, type ResourceLimits, type WireEffectiveLimits } from './registry.js'

/** Members of a request that sets limits. */
export const LIMIT_MEMBERS: Readonly<Record<string, TSchema>> = membersOf()

/** Members of a reply that tells the limits in effect. */
export const EFFECTIVE_LIMIT_MEMBERS = Object.fromEntries(REPORTED.map(({ key, whole }) => [
  key, Type.Number({
    minimum: 0, maximum: 1, description: `The most of ${whole} that may be used, as the kernel has it now`,
  }),
])) as unknown as Record<keyof WireEffectiveLimits, TNumber>

function membersOf(capacity?: NodeCapacity): Record<string, TSchema> {
  return Object.fromEntries(RESOURCE_ROWS.flatMap(([, { names, schema, onNode }]) => names.map((name) => {
    const alias = name === names[0] ? {} : { description: `The same as ${names[0]}` }
    return [name, Type.Optional(Type.Unsafe({ ...schema, ...alias, ...(capacity && onNode?.(capacity)) }))]
  })))
}

/**
 * A function that reads the limits of a request on a node; other members are ignored.
 * It throws an EdgeInferError BAD_LIMIT for a wrong value, and where no limit is given at all.
 */
export function limitsReader(capacity: NodeCapacity): (body: Readonly<Record<string, unknown>>) => ResourceLimits {
  const check = validator(Type.Object(membersOf(capacity)), 'BAD_LIMIT', 'the limits')
  return (body) => {
    check(body)
    const limits = RESOURCE_ROWS.flatMap(([key, { names }]) => {
      const [name, alias] = names.filter((each) => body[each] !== undefined)
      if (name === undefined) return []
      if (alias !== undefined && body[alias] !== body[name]) {
        const expected = `${name} to be the same as its alias ${alias}, ${String(body[alias])},`
        throw new EdgeInferError('BAD_LIMIT', `Expected ${expected} but received ${received(body[name])}`)
      }
      return [[key, body[name]]]
    })
    if (limits.length > 0) return Object.fromEntries(limits) as ResourceLimits
    throw new EdgeInferError(
      'BAD_LIMIT', `Expected at least one of ${Object.keys(LIMIT_MEMBERS).join(', ')} but received none of them`)
  }
}
