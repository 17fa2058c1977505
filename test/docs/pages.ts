/** The pages of the documentation: their commands, and their links. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { repositoryPath } from '../helpers/shared.js'

export interface Command {
  /** Page and line. */
  place: string
  language: 'sh' | 'js' | 'python'
  /** A shell command without its comment and continued lines; a whole program of the other languages. */
  text: string
}

/** Not in the package: who changes the code has the repository. */
export const FOR_CONTRIBUTORS = /^(CONTRIBUTING\.md$|docs\/engineering\/)/

export interface Page {
  /** Path in the repository. */
  name: string
  text: string
}

const FENCE = /^```(sh|js|python)\n([^]*?)^```$/gm

/** What is shown and not run. */
const SHOWN = ['json', 'json5', 'text']

export function pages(): Page[] {
  const inDocs = readdirSync(repositoryPath('docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md')).map((name) => join('docs', name))
  return ['README.md', 'README.zh-CN.md', 'CONTRIBUTING.md', ...inDocs.sort()]
    .map((name) => ({ name, text: readFileSync(repositoryPath(name), 'utf8') }))
}

export function commandsOf({ name, text }: Page): Command[] {
  return [...text.matchAll(FENCE)].flatMap(({ 1: language, 2: block = '', index }): Command[] => {
    const line = text.slice(0, index).split('\n').length
    const place = `${name}:${line}`
    if (language === 'sh') return shellCommands(block).map((command) => ({ place, language, text: command }))
    return [{ place, language: language as 'js' | 'python', text: block }]
  })
}

/** Opening fences whose block nobody would run: indented, of another language, or of none. */
export function strangeFences({ name, text }: Page): string[] {
  let open = false
  return text.split('\n').flatMap((line, index) => {
    if (!line.trimStart().startsWith('```')) return []
    open = !open
    const known = /^```(sh|js|python)$/.test(line) || SHOWN.some((language) => line === `\`\`\`${language}`)
    return (open ? known : line === '```') ? [] : [`${name}:${index + 1} ${line}`]
  })
}

/** Commands within sentences and tables. */
export function inlineCommands({ text }: Page): string[] {
  return inCode(text).filter((code) => /^((npx |node bin\/)?edge-infer|npm run) /.test(code))
}

/** Files and folders that the prose names by their path in the repository, as far as they are not built. */
export function namedPaths({ text }: Page): string[] {
  return inCode(text).filter((code) => /^(bin|lib|docs|deploy|test|native|models)\/[\w./-]+$/.test(code))
}

function inCode(text: string): string[] {
  return [...proseOf(text).matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

function proseOf(text: string): string {
  return text.replace(/^```[^]*?^```$/gm, '')
}

/** One a line; a line that ends in a backslash or a pipe goes on in the next. */
function shellCommands(block: string): string[] {
  return block.replace(/\\\n\s*/g, '').replace(/\|\n\s*/g, '| ').split('\n')
    .map((line) => line.replace(/\s+#\s.*$/, '').trim()).filter((line) => line !== '')
}

/** Links of a page that lead to no file its readers have, or to no heading of it. */
export function brokenLinks({ name, text }: Page, all: readonly Page[], has: (path: string) => boolean): string[] {
  return [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target).filter((target) => {
    if (/^https?:/.test(target)) return false
    const [path = '', anchor] = target.split('#')
    const page = path === '' ? name : relative('.', join(dirname(name), path))
    if (!has(page)) return true
    if (anchor === undefined) return false
    return !anchorsOf(all.find((other) => other.name === page)?.text ?? '').has(anchor)
  })
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...proseOf(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return new Set(headings.map((heading) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')))
}
