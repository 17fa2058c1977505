/** Layers of the code, and who imports whom: read from the sources by bin/check-layers and bin/draw-architecture. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/**
 * From top to bottom; a unit is a folder or a file of `lib`. A unit may import those below it and, in its own row,
 * those to its right. `dashboard` runs in a browser and `client` anywhere: see bin/check-layers.
 */
export const LAYERS = [
  ['cli', 'cjs', 'index'],
  ['bench', 'http', 'client', 'dashboard'],
  ['cluster'],
  ['workers', 'host'],
  ['tasks'],
  ['inference'],
  ['models'],
  ['native', 'video'],
  ['validation'],
  ['platform', 'errors'],
]

/** Units of `native`, likewise. A file of `native/core` itself is a unit of its own; those not named are in `base`. */
export const NATIVE_LAYERS = [
  ['addon'],
  ['jobs'],
  ['pipeline'],
  ['wire', 'heads', 'model'],
  ['detection'],
  ['image'],
  ['base'],
]

/**
 * @typedef {{ from: string, to: string, line: number, typeOnly: boolean }} Import paths below the root, with `/`
 */

/** Path of every file below a folder whose name matches, sorted. */
export function filesBelow(folder, pattern) {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name}`).filter((name) => pattern.test(name)).sort()
}

export function read(path) {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** `lib/http/routes/execute.ts` → `http`, `lib/errors.ts` → `errors`. */
export function unitOf(path) {
  return /^lib\/([^/.]+)/.exec(path)[1]
}

/** `native/core/image/jpeg.cc` → `image`, `native/core/pipeline.h` → `pipeline`, `native/addon/…` → `addon`. */
export function nativeUnitOf(path) {
  const [, area, first, rest] = /^native\/(\w+)\/([^/.]+)(.*)/.exec(path)
  if (area !== 'core') return area
  return rest.startsWith('/') || NATIVE_LAYERS.flat().includes(first) ? first : 'base'
}

/**
 * Every import of one file of `lib` by another, and of packages (`to` is then the package's name). @returns {Import[]}
 */
export function typescriptImports() {
  return filesBelow('lib', /^lib\/(?!cjs\/).*\.tsx?$/).flatMap((from) => {
    const source = ts.createSourceFile(from, read(from), ts.ScriptTarget.Latest, false)
    const found = []
    const add = (node, specifier, typeOnly) => {
      const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
      found.push({ from, to: resolveModule(from, specifier), line, typeOnly })
    }
    const visit = (node) => {
      if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined) {
        add(node, node.moduleSpecifier.text, node.isTypeOnly || node.importClause?.isTypeOnly === true)
      } else if (ts.isImportTypeNode(node)) {
        add(node, node.argument.literal.text, true)
      } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
        const [specifier] = node.arguments
        if (ts.isStringLiteral(specifier)) add(node, specifier.text, false)
      }
      ts.forEachChild(node, visit)
    }
    visit(source)
    return found
  })
}

function resolveModule(from, specifier) {
  if (!specifier.startsWith('.')) return specifier
  const path = normalize(join(dirname(from), specifier))
  const candidates = [path.replace(/\.js$/, '.ts'), path.replace(/\.js$/, '.tsx'), `${path}.ts`, `${path}.tsx`]
  return candidates.find((candidate) => existsSync(join(ROOT, candidate))) ?? path
}

/** Every include of one file of `native/core` or `native/addon` by another. @returns {Import[]} */
export function nativeIncludes(folders = ['native/core', 'native/addon']) {
  return folders.flatMap((folder) => filesBelow(folder, /\.(cc|h)$/)).flatMap((from) =>
    read(from).split('\n').flatMap((text, index) => {
      const [, included] = /^#include "([^"]+)"/.exec(text) ?? []
      if (included === undefined) return []
      const places = [dirname(from), 'native/core', 'native/addon'].map((folder) => normalize(join(folder, included)))
      const to = places.find((place) => existsSync(join(ROOT, place)))
      return to === undefined ? [] : [{ from, to, line: index + 1, typeOnly: false }]
    }))
}
