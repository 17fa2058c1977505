/** A JSON configuration file whose errors name the line. */
import { readFileSync } from 'node:fs'
import { EdgeInferError } from '../errors.js'

export interface ConfigFile {
  path: string
  values: Readonly<Record<string, unknown>>
  /** `serve.json:4` for the member that the keys lead to. */
  place(...keys: readonly string[]): string
}

/** @throws EdgeInferError BAD_OPTION. */
export function readConfigFile(path: string): ConfigFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw badFile(`The configuration file ${path} cannot be read: ${(cause as Error).message}`, cause)
  }
  const values = parse(text, path)
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw badFile(`${path}:1: Expected a JSON object`)
  }
  const lines = linesOfMembers(text)
  return {
    path,
    values: values as Record<string, unknown>,
    place: (...keys) => `${path}:${lines.get(JSON.stringify(keys)) ?? 1}`,
  }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const reason = (cause as Error).message
    const position = /position (\d+)/.exec(reason)?.[1]
    const line = position === undefined ? text.split('\n').length : lineAt(text, Number(position))
    throw badFile(`${path}:${line}: Expected JSON: ${reason}`, cause)
  }
}

/** The line of each member of valid JSON text, by the keys that lead to it. */
function linesOfMembers(text: string): Map<string, number> {
  const lines = new Map<string, number>()
  const path: string[] = []
  let key: string | undefined
  let line = 1
  for (const [token, string] of text.matchAll(/("(?:[^"\\]|\\.)*")|[{}[\],:\n]|[^\s{}[\],:"]+/g)) {
    if (token === '\n') line++
    else if (token === '{' || token === '[') path.push(key ?? '')
    else if (token === '}' || token === ']') path.pop()
    else if (token === ':' && key !== undefined) lines.set(JSON.stringify([...path.slice(1), key]), line)
    if (string !== undefined) key = JSON.parse(string) as string
  }
  return lines
}

function lineAt(text: string, position: number): number {
  return text.slice(0, position).split('\n').length
}

function badFile(message: string, cause?: unknown): EdgeInferError {
  return new EdgeInferError('BAD_OPTION', message, cause === undefined ? {} : { cause })
}
