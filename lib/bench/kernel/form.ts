/** The form in which the library runs a model on a picture: its files and its input's size, for others to run too. */
import type { Detector } from '../../tasks/index.js'

interface Size {
  width: number
  height: number
}

export interface ModelForm {
  /** Name of the catalogue. */
  model: string
  paths: readonly string[]
  /** Pixels. */
  inputSize: Size
}

export function formOf(model: Detector['model'], frame: Size): ModelForm {
  return { model: model.entry.name, paths: model.paths, inputSize: model.inputSizeFor(frame.width, frame.height) }
}
