/** An answer of the protocol: all of it JSON, or tensors' bytes behind the JSON. */
import { refuse, encodeTensor, type OutputTensor } from './tensors.js'
import type { InferenceRequest, RequestedOutput } from './parse-request.js'

export interface EncodedAnswer {
  body: Buffer | string
  /** Bytes of the JSON, where there is more behind it. */
  jsonLength: number | undefined
}

/** The tensors a request names, in its order. @throws EdgeInferError BAD_REQUEST. */
export function requireOutputs(request: InferenceRequest, names: readonly string[]): readonly RequestedOutput[] {
  const unknown = request.outputs?.find(({ name }) => !names.includes(name))
  if (unknown) refuse(`Expected outputs of ${names.join(', ')} but received ${unknown.name}`)
  return request.outputs ?? names.map((name) => ({ name, binary: undefined }))
}

export function encodeAnswer(
  header: Readonly<Record<string, unknown>>, tensors: readonly OutputTensor[], request: InferenceRequest,
  outputs: readonly RequestedOutput[],
): EncodedAnswer {
  const binaryByDefault = request.parameters.binary_data_output === true
  const parts: Buffer[] = []
  const described = outputs.map(({ name, binary = binaryByDefault }) => {
    const { data, ...tensor } = tensors.find((candidate) => candidate.name === name) as OutputTensor
    if (!binary) return { ...tensor, data }
    const bytes = encodeTensor({ ...tensor, data })
    parts.push(bytes)
    return { ...tensor, parameters: { binary_data_size: bytes.length } }
  })
  const json = JSON.stringify({ ...header, ...(request.id !== undefined && { id: request.id }), outputs: described })
  if (parts.length === 0) return { body: json, jsonLength: undefined }
  const head = Buffer.from(json)
  return { body: Buffer.concat([head, ...parts]), jsonLength: head.length }
}
