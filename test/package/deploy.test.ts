import { readdir, readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createProject, output, ROOT, run, temporaryDirectory } from './project.js'

const DEPLOY = join(ROOT, 'deploy')

/** Prints the documents of YAML files as one JSON list, each checked against the schema of its kind. */
const READ = `
  const { readFileSync } = require('node:fs')
  const { parseAllDocuments } = require('yaml')
  const documents = process.argv.slice(1).flatMap((file) => parseAllDocuments(readFileSync(file, 'utf8')))
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0]
      return document.toJS()
    })
  for (const { apiVersion, kind, ...rest } of documents) {
    new (require('kubernetes-models/' + apiVersion)[kind])(rest).validate()
  }
  console.log(JSON.stringify(documents))`

interface Manifest {
  apiVersion: string
  kind: string
}

t.test("Kubernetes' manifests fit the published schemas, with no member that these do not know", async (t) => {
  const root = await temporaryDirectory(t)
  const project = await createProject(join(root, 'project'), ['kubernetes-models@4.5.1', 'yaml@2'])
  const directory = join(DEPLOY, 'kubernetes')
  const files = (await readdir(directory)).filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml')
  const kustomization = await readFile(join(directory, 'kustomization.yaml'), 'utf8')
  for (const name of files) t.match(kustomization, `- ${name}`)
  const text = await output(project, process.execPath, '-e', READ, ...files.map((name) => join(directory, name)))
  const manifests = JSON.parse(text) as Manifest[]
  t.strictSame(manifests.map(({ kind }) => kind).sort(), ['DaemonSet', 'Deployment', 'Namespace', 'Service'])

  // The schemas let unknown members pass; the types made from them do not.
  const misspelt = JSON.parse(text.replace('"livenessProbe"', '"livenesProbe"')) as Manifest[]
  await writeFile(join(project, 'manifests.ts'), typed(manifests))
  await writeFile(join(project, 'misspelt.ts'), typed(misspelt))
  const { stdout } = await run(project, process.execPath, [
    join(ROOT, 'node_modules/typescript/bin/tsc'), '--noEmit', '--strict', '--skipLibCheck',
    '--module', 'ESNext', '--moduleResolution', 'bundler', 'manifests.ts', 'misspelt.ts',
  ])
  t.match(stdout, /^misspelt\.ts.* error TS2353: [^]*livenesProbe/)
  t.notMatch(stdout, /^manifests\.ts/m)
})

t.test('Dockerfiles copy what there is, and run as a user who is not root', async (t) => {
  const files = (await readdir(DEPLOY)).filter((name) => /^Dockerfile(\.\w+)?$/.test(name) && !name.endsWith('ignore'))
  t.strictSame(files.sort(), ['Dockerfile', 'Dockerfile.jetson'])
  for (const file of files) {
    const instructions = (await readFile(join(DEPLOY, file), 'utf8')).replace(/\\\n/g, ' ').split('\n')
    const argumentsOf = (name: string): string[] =>
      instructions.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length).trim())
    const stages = argumentsOf('FROM').flatMap((line) => / AS (\w+)$/.exec(line)?.[1] ?? [])
    for (const copy of argumentsOf('COPY')) {
      const from = /--from=(\w+)/.exec(copy)?.[1]
      if (from === undefined) {
        for (const source of copy.split(/\s+/).slice(0, -1)) t.ok(existsSync(join(ROOT, source)), `${file}: ${copy}`)
      } else {
        t.ok([...stages, 'onnxruntime'].includes(from), `${file}: stage ${from}`)
      }
    }
    t.match(argumentsOf('USER'), ['10001:10001'])
    t.equal(argumentsOf('HEALTHCHECK').length, 1)
    t.ok(existsSync(join(DEPLOY, `${file}.dockerignore`)))
  }
})

function typed(manifests: readonly Manifest[]): string {
  return manifests.map(({ apiVersion, kind, ...rest }, index) => `
import type { I${kind} as I${index} } from 'kubernetes-models/${apiVersion}'
export const m${index}: I${index} = ${JSON.stringify({ apiVersion, kind, ...rest })}`).join('\n')
}
