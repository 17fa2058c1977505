/** Every command of the documentation, run as its readers run it: by a shell, in a directory of their own. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { EdgeInferClient } from '../../lib/client/index.js'
import { resolveSample, storeDirectory } from '../../lib/models/index.js'
import { runCli } from '../cli/run.js'
import { useConstantHelmets } from '../helpers/models.js'
import { writeVideo } from '../helpers/pictures.js'
import { repositoryPath } from '../helpers/shared.js'
import { ENDLESS, NOT_RUN, onStage, SHORTENED, SUBSTITUTES, type Stage } from './command-rules.js'
import { startNode } from './node.js'
import {
  brokenLinks, commandsOf, FOR_CONTRIBUTORS, inlineCommands, namedPaths, pages, strangeFences, type Command,
} from './pages.js'

const LONGEST_MS = 120_000

const { scripts } = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8')) as {
  scripts: Record<string, string>
}
const all = pages()
/** Once each: pages repeat each other, in two languages. */
const commands = [...new Map(
  all.flatMap(commandsOf).reverse().map((command) => [withoutComments(command.text), command]),
).values()].reverse()
const isNotRun = ({ text }: Command): boolean => NOT_RUN.some(({ command }) => command.test(text))

t.test('the pages are packed, as is what they link to; what they name is in the repository', async (t) => {
  const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: repositoryPath('.'), maxBuffer: 2 ** 24,
  })
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]
  const packed = new Set(files.map(({ path }) => path))
  for (const page of all) {
    const ofContributors = FOR_CONTRIBUTORS.test(page.name)
    t.equal(packed.has(page.name), !ofContributors, page.name)
    t.strictSame(brokenLinks(page, all, (path) => ofContributors ? existsSync(repositoryPath(path)) : packed.has(path)),
      [], page.name)
    t.strictSame(namedPaths(page).filter((path) => !existsSync(repositoryPath(path))), [], page.name)
  }
})

t.test('every block is of a language that is run, or is only shown', async (t) => {
  t.strictSame(all.flatMap(strangeFences), [])
})

t.test('the Chinese README has the commands of the English one', async (t) => {
  const [english, chinese] = ['README.md', 'README.zh-CN.md'].map((name) =>
    all.filter((page) => page.name === name).flatMap(commandsOf)
      .map(({ text }) => withoutComments(text)))
  t.strictSame(chinese, english)
})

t.test('every rule is of use still', async (t) => {
  const unused = (patterns: RegExp[], texts: string[]): RegExp[] =>
    patterns.filter((pattern) => texts.every((text) => text.search(pattern) < 0))
  const isRun = commands.filter((command) => !isNotRun(command)).map(({ text }) => text)
  t.strictSame(unused(NOT_RUN.map(({ command }) => command), commands.map(({ text }) => text)), [])
  const changing = [SUBSTITUTES, SHORTENED, ENDLESS].flatMap((rules) => rules.map(([pattern]) => pattern))
  t.strictSame(unused(changing, isRun), [])
})

t.test('what is not run is written as the shell and edge-infer read it', async (t) => {
  for (const { place, text, language } of commands.filter(isNotRun)) {
    if (language !== 'sh') t.fail(`${place} is a program and must be run`)
    await promisify(execFile)('bash', ['-n', '-c', text])
    t.strictSame(await unknownWords(text), [], place)
    for (const [path] of text.matchAll(/(?<!\/)\bdeploy\/[\w./-]+/g)) t.ok(existsSync(repositoryPath(path)), path)
  }
})

t.test('so are the commands within sentences', async (t) => {
  for (const text of new Set(all.flatMap(inlineCommands))) t.strictSame(await unknownWords(text), [], text)
})

function withoutComments(text: string): string {
  return text.replace(/\s+\/\/.*$/gm, '')
}

/** Commands and options of `edge-infer`, and scripts of `npm run`, that there are none of. */
async function unknownWords(text: string): Promise<string[]> {
  const [, script] = /^npm run ([\w:-]+)/.exec(text) ?? []
  if (script !== undefined) return script in scripts ? [] : [script]
  const [, words = ''] = /^(?:npx |node bin\/)?edge-infer((?: [a-z]+)+)/.exec(text) ?? []
  if (words === '') return []
  const path = words.trim().split(' ')
  const { usage, help } = await helpOf(path)
  const [first = ''] = path
  const options = [...text.matchAll(/ (--[a-z-]+)/g)].map(([, option = '']) => option)
  return [
    ...usage.startsWith(`edge-infer ${first} `) ? [] : [first],
    ...options.filter((option) => !new RegExp(`${option}(?![a-z-])`).test(help)),
  ]
}

/** What a command says of itself; words that are its arguments change nothing. */
async function helpOf(path: readonly string[]): Promise<{ usage: string; help: string }> {
  const { stdout } = await runCli(...path, '--help')
  return { usage: /^Usage: (.*)/.exec(stdout)?.[1] ?? '', help: stdout }
}

t.test('the others', { timeout: 10 * LONGEST_MS }, async (t) => {
  // What `require` gives.
  await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', process.execPath, repositoryPath('bin', 'build-commonjs')])
  useConstantHelmets(t)
  const directory = t.testdir()
  await furnish(directory)
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: [join(directory, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
    // curl answers an error for a status of 400 and above.
    CURL_HOME: directory,
  }
  const stage = await setStage(t, directory)
  for (const command of commands.filter((candidate) => !isNotRun(candidate))) {
    await t.test(`${command.place} ${command.text.split('\n', 1)[0]}`, { timeout: LONGEST_MS }, async (t) => {
      const text = onStage(command.text, stage)
      const [, said] = ENDLESS.find(([pattern]) => pattern.test(text)) ?? []
      const { code, output } = await run({ ...command, text: shortened(text) }, directory, environment, said)
      t.equal(code, 0, output)
      if (said) t.match(output, said)
      t.notMatch(output, /"error"|_flag": ?false/)
    })
  }
})

async function setStage(t: Test, directory: string): Promise<Stage> {
  const url = await startNode(t)
  await using client = new EdgeInferClient(url)
  const [node] = Object.values(await client.getClusterInfo())
  const pid = Number(node?.service_state.face_detection?.workers[0]?.pid)
  return { port: Number(new URL(url).port), pid, models: storeDirectory(), data: join(directory, 'labelled') }
}

/** What the pages speak of: photographs, a labelled one, a video, a catalogue, the package. */
async function furnish(directory: string): Promise<void> {
  const [faces, car] = await Promise.all([resolveSample('faces'), resolveSample('car')])
  copyFileSync(faces, join(directory, 'photo.jpg'))
  mkdirSync(join(directory, 'frames'))
  for (const name of ['frame1.jpg', 'frame2.jpg', join('frames', '1.jpg')]) copyFileSync(car, join(directory, name))
  await writeVideo(join(directory, 'dashcam.mp4'), 50)
  for (const name of ['images', 'labels']) mkdirSync(join(directory, 'labelled', name), { recursive: true })
  copyFileSync(car, join(directory, 'labelled', 'images', 'car.jpg'))
  writeFileSync(join(directory, 'labelled', 'labels', 'car.txt'), '2 0.496 0.496 0.868 0.421\n')
  mkdirSync(join(directory, 'node_modules', '.bin'), { recursive: true })
  symlinkSync(repositoryPath('.'), join(directory, 'node_modules', 'edge-infer'))
  symlinkSync(repositoryPath('bin', 'edge-infer'), join(directory, 'node_modules', '.bin', 'edge-infer'))
  for (const name of ['bin', 'docs']) symlinkSync(repositoryPath(name), join(directory, name))
  writeFileSync(join(directory, '.curlrc'), 'fail-with-body\nsilent\nshow-error\n')
  const [, catalog = ''] = /^```json\n([^]*?)^```$/m.exec(
    readFileSync(repositoryPath('docs', 'tasks-and-models.md'), 'utf8')) ?? []
  writeFileSync(join(directory, 'catalog.json'), catalog)
}

function shortened(text: string): string {
  const [, options] = SHORTENED.find(([pattern]) => pattern.test(text)) ?? []
  return options === undefined ? text : `${text} ${options}`
}

/** Runs a command to its end, or until it has said `said`. */
async function run(
  { language, text }: Command, cwd: string, env: NodeJS.ProcessEnv, said: RegExp | undefined,
): Promise<{ code: number | null; output: string }> {
  const isModule = language === 'js' && !/\brequire\(/.test(text)
  const [program, ...args] = {
    sh: ['bash', '-c', `exec 2>&1; ${said ? `exec env ${text}` : text}`],
    python: ['/usr/bin/python3', '-c', text],
    js: [process.execPath, `--input-type=${isModule ? 'module' : 'commonjs'}`, '-e', text],
  }[language] as [string, ...string[]]
  // tap's hooks are kept out, as in spawnCli.
  const child = spawn('env', ['-u', 'NODE_OPTIONS', program, ...args], {
    cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS,
  })
  let output = ''
  let told = false
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (told || !said?.test(output)) return
      told = true
      child.kill('SIGINT')
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}
