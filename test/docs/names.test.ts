/** Options and variables that the documentation names are ones that programs have. */
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { runCli } from '../cli/run.js'
import { repositoryPath } from '../helpers/shared.js'
import { pages } from './pages.js'

/** Of other programs. Every one must still be in the documentation. */
const OPTIONS_OF_OTHERS: Readonly<Record<string, string>> = {
  '--build-arg': 'docker build', '--cpus': 'docker run', '--dry-run': 'npm run release', '--engine-strict': 'npm',
  '--fix': 'eslint', '--for-tests': 'bin/setup', '--ignore-scripts': 'npm', '--memory': 'docker run',
  '--minutes': 'npm run chaos', '--no-git-tag-version': 'npm', '--privileged': 'docker run', '--runtime': 'docker run',
  '--seed': 'npm run chaos', '--variant': 'mmdebstrap',
}

const all = pages()

t.test('options', async (t) => {
  const named = new Map(all.flatMap(({ name, text }) => optionsIn(inlineCode(text)).map((option) => [option, name])))
  const known = new Set([...await optionsBelow([]), ...optionsOfExamples()])
  for (const [option, page] of named) {
    if (option in OPTIONS_OF_OTHERS) continue
    t.ok(known.has(option), `${option} of ${page} is an option`)
  }
  for (const option of Object.keys(OPTIONS_OF_OTHERS)) t.ok(named.has(option), `${option} is still in a page`)
})

t.test('variables', async (t) => {
  const { stdout: help } = await runCli('serve', '--help')
  const known = variablesIn([help, ...sources('lib')].join('\n'))
  for (const { name, text } of all) {
    t.strictSame([...variablesIn(text)].filter((variable) => !known.has(variable)), [], name)
  }
})

/** On a line each. */
function inlineCode(text: string): string {
  return [...text.replace(/^```[^]*?^```$/gm, '').matchAll(/`([^`]+)`/g)].map(([, code = '']) => code).join('\n')
}

function optionsIn(text: string): string[] {
  return text.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? []
}

/** Options of a command and of all the commands below it, as their help has them. */
async function optionsBelow(command: readonly string[]): Promise<string[]> {
  const { stdout: help } = await runCli(...command, '--help')
  const [, list = ''] = /^Commands:\n((?: .*\n?)+)/m.exec(help) ?? []
  const names = [...list.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name = '']) => name).filter((name) => name !== 'help')
  const below: string[] = []
  for (const name of names) below.push(...await optionsBelow([...command, name]))
  return [...[...help.matchAll(/(?<=^ {2}(?:-\w, )?)--[a-z-]+/gm)].map(([option]) => option), ...below]
}

function optionsOfExamples(): string[] {
  return sources('docs/examples').flatMap(optionsIn)
}

function sources(folder: string): string[] {
  return readdirSync(repositoryPath(folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs|py|sh)$/.test(name))
    .map((name) => readFileSync(repositoryPath(folder, name), 'utf8'))
}

function variablesIn(text: string): Set<string> {
  return new Set(text.match(/\bEDGE_INFER_[A-Z_]*[A-Z]/g))
}
