/** This program: its version, and how it is called here. */
import { readFileSync } from 'node:fs'
import { delimiter, dirname, relative, sep } from 'node:path'

/** What to type for `edge-infer` here: it may be on the PATH, in a project's packages, or neither (a checkout). */
export function commandName(): string {
  const launcher = process.argv[1] ?? ''
  if (launcher.split(sep).includes('node_modules')) return 'npx edge-infer'
  if ((process.env.PATH ?? '').split(delimiter).includes(dirname(launcher))) return 'edge-infer'
  const path = relative(process.cwd(), launcher)
  return `node ${path.startsWith('..') ? launcher : path}`
}

/** The version of this package. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
