/** Checks values against TypeBox schemas. A message names the member, what it must be and what was received. */
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { EdgeInferError, received, type ErrorCode } from './errors.js'

/** Keywords of a schema that messages are made of. */
interface SchemaNode {
  type?: string
  /** In place of what would be said of the schema: `cpu, cuda[:n] or tensorrt[:n]`. */
  expected?: string
  /** In place of the validator's code, for a value that is of the right type but refused. */
  code?: ErrorCode
  enum?: readonly unknown[]
  const?: unknown
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
  items?: SchemaNode
  minItems?: number
  maxItems?: number
  anyOf?: readonly SchemaNode[]
  properties?: Readonly<Record<string, SchemaNode>>
}

interface Fault {
  keyword: string
  /** JSON pointers into the schema (`#/properties/pid`) and into the value (`/pid`). */
  schemaPath: string
  instancePath: string
  params: Readonly<Record<string, unknown>>
}

/**
 * A function that returns its argument when it fits the schema. Members that the schema does not name pass, unless it
 * forbids them with `additionalProperties: false`. The schema is compiled once, here.
 *
 * The function throws an EdgeInferError with `code`; its `details.path` is the place of the wrong member
 * (`models[3].input.width`, '' for the value itself). `whole` names the value itself.
 */
export function validator<Schema extends TSchema>(
  schema: Schema, code: ErrorCode, whole: string,
): (value: unknown) => Static<Schema> {
  const compiled = Compile(schema)
  return (value) => {
    if (compiled.Check(value)) return value
    const fault = deepest(compiled.Errors(value))
    const path = placeOf(fault.instancePath)
    const node = nodeAt(schema, fault.schemaPath)
    const message = explain(node, fault, value, path || whole)
    throw new EdgeInferError(fault.keyword === 'type' ? code : node?.code ?? code, message, { details: { path } })
  }
}

/** What a value must be, in words: `a whole number from 1 to 256`. */
export function expectationOf(schema: TSchema): string {
  return describe(schema)
}

/** The innermost member at fault; a wrong alternative of a union says less than the union. */
function deepest(faults: readonly Fault[]): Fault {
  const outside = faults.filter(({ schemaPath }) => !/\/anyOf\/\d+/.test(schemaPath))
  const [first, ...more] = outside.length > 0 ? outside : faults
  return more.reduce((best, next) => depth(next) > depth(best) ? next : best, first as Fault)
}

function depth({ instancePath, keyword }: Fault): number {
  // That a member is unknown is said of its object; TypeBox says it of the member, too, as a schema that is false.
  return keyword === 'boolean' ? -1 : instancePath.split('/').length
}

function explain(node: SchemaNode | undefined, fault: Fault, value: unknown, place: string): string {
  const { keyword, params } = fault
  if (keyword === 'required') {
    const missing = (params.requiredProperties as readonly string[])[0] as string
    const wanted = node?.properties?.[missing]
    const inside = fault.instancePath === '' ? '' : `${placeOf(fault.instancePath)}.`
    return `Expected ${wanted ? describe(wanted) : 'a value'} for ${inside}${missing} but received none`
  }
  if (keyword === 'additionalProperties') {
    const [unknown] = params.additionalProperties as readonly string[]
    const known = Object.keys(node?.properties ?? {}).join(', ')
    return `Expected ${place} to have no members but ${known} and received ${unknown}`
  }
  const expected = node ? describe(node) : 'another value'
  return `Expected ${expected} for ${place} but received ${received(valueAt(value, fault.instancePath))}`
}

function describe(node: SchemaNode): string {
  if (node.expected !== undefined) return node.expected
  if (node.enum) return `one of ${node.enum.join(', ')}`
  if (node.const !== undefined) return JSON.stringify(node.const)
  if (node.anyOf) return node.anyOf.map(describe).join(' or ')
  switch (node.type) {
    case 'integer': return `a whole number${rangeOf(node)}`
    case 'number': return `a number${rangeOf(node)}`
    case 'array': return `a ${node.minItems ? 'non-empty ' : ''}list${node.items ? ` of ${describe(node.items)}` : ''}`
    case 'boolean': return 'true or false'
    case 'object': return 'an object'
    default: return node.type === undefined ? 'another value' : `a ${node.type}`
  }
}

function rangeOf({ minimum, exclusiveMinimum, maximum }: SchemaNode): string {
  if (exclusiveMinimum !== undefined) {
    return ` above ${exclusiveMinimum}${maximum === undefined ? '' : ` and at most ${maximum}`}`
  }
  if (minimum !== undefined) return maximum === undefined ? ` from ${minimum}` : ` from ${minimum} to ${maximum}`
  return maximum === undefined ? '' : ` of at most ${maximum}`
}

function steps(pointer: string): string[] {
  return pointer.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function nodeAt(schema: SchemaNode, pointer: string): SchemaNode | undefined {
  return steps(pointer).reduce<unknown>(
    (node, step) => (node as Record<string, unknown> | undefined)?.[step], schema,
  ) as
    SchemaNode | undefined
}

function valueAt(value: unknown, pointer: string): unknown {
  return steps(pointer).reduce<unknown>((inner, step) => (inner as Record<string, unknown> | undefined)?.[step], value)
}

/** `/models/3/input` → `models[3].input`. */
function placeOf(pointer: string): string {
  return steps(pointer).reduce(
    (place, step) => /^\d+$/.test(step) ? `${place}[${step}]` : place ? `${place}.${step}` : step, '',
  )
}
