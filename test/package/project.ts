/** A package as its users get it: packed, and installed into an empty project outside the repository. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'

export const ROOT = new URL('../../..', import.meta.url).pathname

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

/** The user's environment: nothing of the npm script and the test runner that run this. */
function userEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) =>
    !/^(TAP|npm_(package|lifecycle|command|execpath|config_local_prefix)|EDGE_INFER_ADDON)/.test(name))
  return { ...Object.fromEntries(own), ...extra }
}

export async function run(
  directory: string, command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {},
): Promise<Ran> {
  // tap puts its hooks back into NODE_OPTIONS of whatever is spawned.
  const child = spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', command, ...args], {
    cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], env: userEnvironment(environment),
  })
  const result: Ran = { code: null, stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (result.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (result.stderr += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { ...result, code }
}

/** Standard output of a command that must succeed. */
export async function output(directory: string, command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(directory, command, args)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`)
  return stdout
}

export async function temporaryDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'edge-infer-package-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

export interface Packed {
  path: string
  size: number
  files: string[]
}

export async function pack(directory: string, destination: string): Promise<Packed> {
  const text = await output(directory, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', destination)
  const reports = JSON.parse(text) as Array<{ filename: string; size: number; files: Array<{ path: string }> }>
  const report = reports[0]
  if (report === undefined) throw new Error(`npm pack reported nothing: ${text}`)
  return { path: join(destination, report.filename), size: report.size, files: report.files.map(({ path }) => path) }
}

/** Installs into a new project, with no install script run. */
export async function createProject(directory: string, packages: readonly string[]): Promise<string> {
  await mkdir(directory)
  await writeFile(join(directory, 'package.json'), '{ "name": "project", "private": true }\n')
  await install(directory, ...packages)
  return directory
}

export const install = (directory: string, ...packages: string[]): Promise<string> =>
  output(directory, 'npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', ...packages)

/** A PATH on which there are those commands and no other. */
export async function onlyCommands(directory: string, ...names: string[]): Promise<string> {
  await mkdir(directory)
  for (const name of names) {
    const path = await findCommand(name)
    if (path !== undefined) await symlink(path, join(directory, name))
  }
  return directory
}

async function findCommand(name: string): Promise<string | undefined> {
  if (name === 'node') return process.execPath
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, name)
    if (await access(path).then(() => true, () => false)) return path
  }
  return undefined
}
