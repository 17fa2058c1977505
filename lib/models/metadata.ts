/** What a model file of our making says of itself: keys of its metadata. */
import { readFile } from 'node:fs/promises'
import { OnnxModel } from './onnx/model.js'

/** The model of the catalogue it was made of. */
export const MODEL_KEY = 'edge_infer.model'
export const FAMILY_KEY = 'edge_infer.family'

export interface ModelOrigin {
  model: string | undefined
  family: string | undefined
}

/** Nothing of a file that is no ONNX model: loading it will say so. */
export async function originOf(path: string): Promise<ModelOrigin> {
  try {
    const { metadata } = new OnnxModel(await readFile(path))
    return { model: metadata.get(MODEL_KEY), family: metadata.get(FAMILY_KEY) }
  } catch {
    return { model: undefined, family: undefined }
  }
}
