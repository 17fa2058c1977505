/** Values of options, checked as they are parsed: what is wrong with one ends the command as misuse. */
import { InvalidArgumentError } from 'commander'

/** A parser of numbers in [least, most]. */
export function numberBetween(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text)
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`Expected a number from ${least} to ${most}.`)
  }
}

/** A parser of sizes: `640`, the side of a square, or `640x384`, width and height. */
export function sizeBetween(least: number, most: number): (text: string) => { width: number; height: number } {
  return (text) => {
    const [, first, second = first] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? []
    const [width, height] = [Number(first), Number(second)]
    if ([width, height].every((side) => side >= least && side <= most)) return { width, height }
    throw new InvalidArgumentError(`Expected pixels from ${least} to ${most}: a square's side, or WIDTHxHEIGHT.`)
  }
}

/** A parser of whole numbers in [least, most]. */
export function wholeNumberBetween(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`)
  }
}
