/** Writes dist/dashboard, what a node serves at `/`: the page, one script, one style sheet. */
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const from = fileURLToPath(new URL('.', import.meta.url))
const to = fileURLToPath(new URL('../../dist/dashboard/', import.meta.url))

await rm(to, { recursive: true, force: true })
await mkdir(to, { recursive: true })
await build({
  entryPoints: [join(from, 'main.tsx'), join(from, 'main.css')],
  outdir: to,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  banner: { js: '/* Contains preact; its licence is beside this file: licences.txt */' },
  logLevel: 'warning',
})
await copyFile(join(from, 'index.html'), join(to, 'index.html'))
const preact = dirname(createRequire(import.meta.url).resolve('preact/package.json'))
await copyFile(join(preact, 'LICENSE'), join(to, 'licences.txt'))
