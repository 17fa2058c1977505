/** Times of several calls together. */
import type { StageTimings } from '../native.js'

export function addTimings(a: Readonly<StageTimings>, b: Readonly<StageTimings>): StageTimings {
  return {
    decode: a.decode + b.decode,
    preprocess: a.preprocess + b.preprocess,
    inference: a.inference + b.inference,
    postprocess: a.postprocess + b.postprocess,
    encode: a.encode + b.encode,
  }
}
