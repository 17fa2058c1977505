/** The form in which the library runs a model on a picture: its files and its input's size, for others to run too. */
import { defaultModelFor, resolveModel, variantOf, type TaskName } from '../../models/index.js'
import type { ModelOptions } from '../../tasks/index.js'

interface Size {
  width: number
  height: number
}

export interface ModelForm {
  /** Name of the catalogue. */
  model: string
  paths: readonly string[]
  /** Pixels; undefined where only the file tells. */
  inputSize: Size | undefined
}

/** What the strides of the YOLO families divide. */
const INPUT_STEP = 32

export async function formOf(
  task: TaskName, frame: Size, { model, asExported, rectangular = true }: ModelOptions,
): Promise<ModelForm> {
  const { entry, paths } = await resolveModel(model ?? defaultModelFor(task).name, { task })
  const variant = asExported ? undefined : await variantOf(entry, paths[0] as string)
  if (variant === undefined) {
    const inputSize = entry.input && { width: entry.input.width, height: entry.input.height }
    return { model: entry.name, paths, inputSize }
  }
  const inputSize = rectangular && entry.preprocessing.resize !== 'stretch' ? smallestInput(frame, variant.inputSize) : variant.inputSize
  return { model: entry.name, paths: [variant.path], inputSize }
}

/** The smallest input that holds the frame, letterboxed into `most`. */
export function smallestInput(frame: Size, most: Size): Size {
  const ratio = Math.min(most.width / frame.width, most.height / frame.height)
  const roundUp = (side: number): number => Math.ceil(Math.round(side * ratio) / INPUT_STEP) * INPUT_STEP
  return { width: roundUp(frame.width), height: roundUp(frame.height) }
}
