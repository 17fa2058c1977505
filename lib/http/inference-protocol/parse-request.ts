/** An inference request: JSON, and behind it the bytes of the tensors that are not in the JSON. */
import { received } from '../../validation.js'
import { isMembers, parseJsonObject, type Members } from './parse-json.js'
import { ELEMENT_BYTES, elementCount, refuse, type DataType, type InputTensor, type TensorMetadata } from './tensors.js'

export interface RequestedOutput {
  name: string
  /** Undefined where the request does not say for this one. */
  binary: boolean | undefined
}

export interface InferenceRequest {
  id: string | undefined
  parameters: Readonly<Record<string, unknown>>
  inputs: ReadonlyMap<string, InputTensor>
  /** Undefined where the request names none: all of them. */
  outputs: readonly RequestedOutput[] | undefined
}

/** Names are in messages. */
const MAX_NAME_LENGTH = 100

/** Parameters of outputs that ask for another answer than a tensor in this one. */
const UNSUPPORTED_OUTPUT_PARAMETERS = ['classification', 'shared_memory_region']

/**
 * `jsonLength`: the header `Inference-Header-Content-Length`, where the request has it.
 * @throws EdgeInferError BAD_REQUEST, TOO_LARGE.
 */
export function parseInferenceRequest(body: Buffer, jsonLength: string | undefined): InferenceRequest {
  const length = jsonLength === undefined ? body.length : /^\d+$/.test(jsonLength) ? Number(jsonLength) : Infinity
  if (length > body.length) {
    refuse('Expected Inference-Header-Content-Length to be a number of bytes up to the body\'s ' +
      `${body.length} but received ${received(jsonLength)}`)
  }
  const request = parseJsonObject(body.subarray(0, length))
  const { id, parameters, inputs, outputs } = request
  return {
    id: parseId(id),
    parameters: parseParameters(parameters, 'the request'),
    inputs: parseInputs(inputs, body.subarray(length)),
    outputs: parseOutputs(outputs),
  }
}

/** Whether only models that are ready are asked for; an empty body asks for all. @throws as {@link parseJsonObject}. */
export function parseIndexRequest(body: Buffer): boolean {
  const { ready = false } = body.length === 0 ? {} : parseJsonObject(body)
  if (typeof ready === 'boolean') return ready
  return refuse(`Expected ready to be true or false but received ${received(ready)}`)
}

function parseId(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (value === undefined || value === null) return undefined
  return refuse(`Expected id to be a text but received ${received(value)}`)
}

function parseParameters(value: unknown, of: string): Members {
  if (value === undefined || value === null) return {}
  if (isMembers(value)) return value
  return refuse(`Expected the parameters of ${of} to be an object but received ${received(value)}`)
}

/** Tensors without data in the JSON take theirs from `binary`, one behind the other. */
function parseInputs(value: unknown, binary: Buffer): Map<string, InputTensor> {
  if (!Array.isArray(value) || value.length === 0) {
    return refuse(`Expected a list of inputs but received ${received(value)}`)
  }
  const inputs = new Map<string, InputTensor>()
  let at = 0
  for (const entry of value as readonly unknown[]) {
    const { name, members: { datatype, shape, data, parameters: sent } } = named(entry, 'input')
    if (inputs.has(name)) refuse(`Expected each input once but received ${name} twice`)
    const parameters = parseParameters(sent, name)
    const tensor = { name, datatype: parseDataType(name, datatype), shape: parseShape(name, shape), parameters }
    const { binary_data_size: size } = parameters
    if (size === undefined) {
      inputs.set(name, { ...tensor, data: parseData(tensor, data), bytes: undefined })
      continue
    }
    if (data !== undefined) refuse(`Expected ${name} to have data or binary_data_size but received both`)
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || at + size > binary.length) {
      return refuse(`Expected binary_data_size of ${name} to be a number of the ${binary.length - at} bytes that ` +
        `are left behind the JSON but received ${received(size)}`)
    }
    inputs.set(name, { ...tensor, data: undefined, bytes: parseBytes(tensor, binary.subarray(at, at + size)) })
    at += size
  }
  if (at !== binary.length) refuse(`Expected ${at} bytes behind the JSON but received ${binary.length}`)
  return inputs
}

function named(entry: unknown, kind: string): { name: string; members: Members } {
  if (!isMembers(entry) || typeof entry.name !== 'string') {
    return refuse(`Expected each ${kind} to be an object with a name but received ${received(entry)}`)
  }
  if (entry.name.length <= MAX_NAME_LENGTH) return { name: entry.name, members: entry }
  return refuse(`Expected the name of each ${kind} to be short but received ${received(entry.name)}`)
}

function parseDataType(name: string, value: unknown): DataType {
  if (typeof value === 'string' && Object.hasOwn(ELEMENT_BYTES, value)) return value as DataType
  const known = Object.keys(ELEMENT_BYTES).join(', ')
  return refuse(`Expected a datatype of ${known} for ${name} but received ${received(value)}`)
}

function parseShape(name: string, value: unknown): number[] {
  const valid = Array.isArray(value) && value.length <= 8 && value.every((side) => Number.isInteger(side) && side >= 0)
  if (valid && elementCount(value as number[]) <= 2 ** 31) return value as number[]
  return refuse(`Expected the shape of ${name} to be a list of lengths but received ${received(value)}`)
}

function parseData({ name, datatype, shape }: TensorMetadata, data: unknown): unknown[] {
  if (datatype === 'UINT8') {
    refuse(`Expected the pixels of ${name} behind the JSON, with binary_data_size, but received them in it`)
  }
  if (!Array.isArray(data)) return refuse(`Expected ${name} to have data or binary_data_size but received neither`)
  const elements = data.flat(8) as unknown[]
  if (elements.length === elementCount(shape)) return elements
  return refuse(`Expected ${elementCount(shape)} elements of ${name} by its shape but received ${elements.length}`)
}

function parseBytes({ name, datatype, shape }: TensorMetadata, bytes: Buffer): Buffer {
  const size = ELEMENT_BYTES[datatype]
  if (size === undefined || bytes.length === size * elementCount(shape)) return bytes
  return refuse(`Expected ${size * elementCount(shape)} bytes of ${name} by its shape but received ${bytes.length}`)
}

/** None of them named is all of them. */
function parseOutputs(value: unknown): RequestedOutput[] | undefined {
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) return refuse(`Expected outputs to be a list but received ${received(value)}`)
  const outputs = new Map<string, RequestedOutput>()
  for (const entry of value as readonly unknown[]) {
    const { name, members } = named(entry, 'output')
    if (outputs.has(name)) refuse(`Expected each output once but received ${name} twice`)
    const parameters = parseParameters(members.parameters, name)
    const unsupported = UNSUPPORTED_OUTPUT_PARAMETERS.find((parameter) => parameters[parameter])
    if (unsupported) refuse(`Expected ${name} to be asked for as a tensor but received ${unsupported}`)
    const { binary_data: binary } = parameters
    outputs.set(name, { name, binary: typeof binary === 'boolean' ? binary : undefined })
  }
  return outputs.size === 0 ? undefined : [...outputs.values()]
}
