/** Numbers in [0, 1) that follow from the seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296
}
