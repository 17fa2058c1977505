/** An inference request: JSON, and behind it the bytes of the tensors that are not in the JSON. */
import { EdgeInferError, received } from '../../errors.js'
import { parseJsonObject } from '../body.js'
import {
  ELEMENT_BYTES, elementCount, refuse, type DataType, type InputTensor, type OutputForm, type TensorMetadata,
} from './tensors.js'

type Members = Readonly<Record<string, unknown>>

interface RequestedOutput {
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

const MAX_JSON_BYTES = 4 * 2 ** 20
/** Lists, objects, texts and commas. A picture in base64 is one text; megabytes of brackets take a parser a second. */
const MAX_JSON_TOKENS = 2 ** 16

const [QUOTE, COMMA, LIST, BACKSLASH, OBJECT] = [0x22, 0x2c, 0x5b, 0x5c, 0x7b] as const

const WHERE_JSON_ENDS =
  'where bytes of tensors follow the JSON, the header Inference-Header-Content-Length must say how long the JSON is'

/** Names are in messages. */
const MAX_NAME_LENGTH = 100

/** Parameters of outputs that ask for another answer than a tensor in this one. */
const UNSUPPORTED_OUTPUT_PARAMETERS = ['classification', 'shared_memory_region']

/**
 * `jsonLength`: the header `Inference-Header-Content-Length`, where the request has it; 0: the body is the one element
 * of `input`, as in raw binary requests of Triton. @throws EdgeInferError BAD_REQUEST, TOO_LARGE.
 */
export function parseInferenceRequest(
  body: Buffer, jsonLength: string | undefined, input: TensorMetadata,
): InferenceRequest {
  const length = jsonLength === undefined ? body.length : /^\d+$/.test(jsonLength) ? Number(jsonLength) : Infinity
  if (length > body.length) {
    refuse('Expected Inference-Header-Content-Length to be a number of bytes up to the body\'s ' +
      `${body.length} but received ${received(jsonLength)}`)
  }
  if (jsonLength !== undefined && length === 0 && body.length > 0) {
    const tensor = { ...input, shape: [1], parameters: {}, data: [body], bytes: undefined }
    return { id: undefined, parameters: {}, inputs: new Map([[input.name, tensor]]), outputs: undefined }
  }
  const request = parseHead(body.subarray(0, length), jsonLength !== undefined)
  const { id, parameters, inputs, outputs } = request
  return {
    id: parseId(id),
    parameters: parseParameters(parameters, 'the request'),
    inputs: parseInputs(inputs, body.subarray(length)),
    outputs: parseOutputs(outputs),
  }
}

/**
 * Whether only models that are ready are asked for; an empty body asks for all.
 * @throws EdgeInferError BAD_REQUEST, TOO_LARGE.
 */
export function parseIndexRequest(body: Buffer): boolean {
  const { ready = false } = body.length === 0 ? {} : parseBoundedJson(body)
  if (typeof ready === 'boolean') return ready
  return refuse(`Expected ready to be true or false but received ${received(ready)}`)
}

/** The tensors a request asks for, in its order. @throws EdgeInferError BAD_REQUEST. */
export function requireOutputs({ outputs, parameters }: InferenceRequest, names: readonly string[]): OutputForm[] {
  const unknown = outputs?.find(({ name }) => !names.includes(name))
  if (unknown) refuse(`Expected outputs of ${names.join(', ')} but received ${unknown.name}`)
  const byDefault = parameters.binary_data_output === true
  return (outputs ?? names.map((name) => ({ name, binary: undefined })))
    .map(({ name, binary = byDefault }) => ({ name, binary }))
}

/** Without its length the JSON is taken to be the whole body, and is none where tensors follow it. */
function parseHead(head: Buffer, isMeasured: boolean): Members {
  try {
    return parseBoundedJson(head)
  } catch (error) {
    if (isMeasured || head.length === 0 || !(error instanceof EdgeInferError)) throw error
    throw new EdgeInferError(error.code, `${error.message}; ${WHERE_JSON_ENDS}`, { cause: error })
  }
}

/** The parser runs on the JavaScript thread in one go: what it may cost is bounded first. */
function parseBoundedJson(bytes: Buffer): Members {
  if (bytes.length > MAX_JSON_BYTES) throw tooLarge(`${MAX_JSON_BYTES} bytes of JSON but received ${bytes.length}`)
  if (hasMoreTokens(bytes, MAX_JSON_TOKENS)) {
    throw tooLarge(`${MAX_JSON_TOKENS} lists, objects, texts and commas in the JSON but received more`)
  }
  return parseJsonObject(bytes)
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
    return refuse(`Expected a non-empty list of inputs but received ${received(value)}`)
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
        `are left behind the JSON but received ${received(size)}${binary.length === 0 ? `; ${WHERE_JSON_ENDS}` : ''}`)
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

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function tooLarge(limit: string): EdgeInferError {
  return new EdgeInferError('TOO_LARGE', `Expected at most ${limit}; ` +
    'send pictures and pixels behind the JSON, as the binary tensor data extension has it')
}

function hasMoreTokens(bytes: Buffer, limit: number): boolean {
  let tokens = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) at = endOfText(bytes, at)
    else if (byte !== COMMA && byte !== LIST && byte !== OBJECT) continue
    if (++tokens > limit) return true
  }
  return false
}

/** Where the quote is that ends the text which begins at `begin`. */
function endOfText(bytes: Buffer, begin: number): number {
  for (let at = bytes.indexOf(QUOTE, begin + 1); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
    let backslashes = 0
    while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return at
  }
  return bytes.length
}
