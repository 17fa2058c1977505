/** The configuration of `edge-infer serve`: arguments, then variables, then the file, then what holds by default. */
import { dirname } from 'node:path'
import type { Command } from 'commander'
import { EdgeInferError, received } from '../errors.js'
import { readConfigFile, type ConfigFile } from './config-file.js'
import {
  CONFIG_OPTION, expected, SERVE_OPTIONS, TOKEN_FILE_OPTION, valueOfJson, valueOfText, type OptionSpec,
  type ServeConfig,
} from './config-options.js'

type Values = Readonly<Record<string, unknown>>

const OPTIONS: readonly OptionSpec[] = Object.values(SERVE_OPTIONS)
const ALL: readonly OptionSpec[] = [...OPTIONS, TOKEN_FILE_OPTION]

export function addServeOptions(command: Command): void {
  for (const { flag, description, variable } of [...ALL, CONFIG_OPTION]) {
    command.option(flag, `${description} [${variable}]`)
  }
}

/** @throws EdgeInferError BAD_OPTION: where the option stands, what it expects and what it received. */
export function resolveServeConfig(args: Values, environment: NodeJS.ProcessEnv = process.env): ServeConfig {
  const configPath = fromArguments(CONFIG_OPTION, args) ?? fromEnvironment(CONFIG_OPTION, environment)
  const file = typeof configPath === 'string' ? readConfigFile(configPath) : undefined
  if (file) refuseUnknown(file)
  const sources: readonly ((spec: OptionSpec) => unknown)[] = [
    (spec) => fromArguments(spec, args),
    (spec) => fromEnvironment(spec, environment),
    (spec) => file && fromFile(spec, file),
  ]
  const values = Object.fromEntries<unknown>(Object.entries(SERVE_OPTIONS).map(([key, { initial }]) => [key, initial]))
  for (const source of [...sources].reverse()) {
    for (const [member, value] of Object.entries(readSource(source))) values[member] = value
  }
  return values as unknown as ServeConfig
}

function readSource(source: (spec: OptionSpec) => unknown): Values {
  const given = new Map(ALL.map((spec) => [spec.member, source(spec)]))
  const tokenFromFile = given.get(TOKEN_FILE_OPTION.member)
  given.delete(TOKEN_FILE_OPTION.member)
  if (tokenFromFile !== undefined) {
    if (given.get(SERVE_OPTIONS.token.member) !== undefined) {
      throw new EdgeInferError('BAD_OPTION', 'Expected a token or a token file but received both')
    }
    given.set(SERVE_OPTIONS.token.member, tokenFromFile)
  }
  return Object.fromEntries([...given].filter(([, value]) => value !== undefined))
}

function fromArguments(spec: OptionSpec, args: Values): unknown {
  const [name = ''] = spec.flag.split(' ')
  const value = args[camelCase(name)]
  if (value === undefined || value === true) return value
  const text = Array.isArray(value) ? value.join(',') : String(value)
  return valueOfText(spec, text) ?? refuse(name, spec, text)
}

/** An empty variable is one that is not set. */
function fromEnvironment(spec: OptionSpec, environment: NodeJS.ProcessEnv): unknown {
  const text = environment[spec.variable]
  if (!text) return undefined
  return valueOfText(spec, text) ?? refuse(spec.variable, spec, text)
}

function fromFile(spec: OptionSpec, file: ConfigFile): unknown {
  const value = file.values[spec.member]
  if (value === undefined) return undefined
  return valueOfJson(spec, value, dirname(file.path)) ?? refuse(
    `${file.place(spec.member)}: ${spec.member}`, spec, value,
  )
}

function refuseUnknown(file: ConfigFile): void {
  const known = ALL.map(({ member }) => member)
  for (const member of Object.keys(file.values)) {
    if (known.includes(member)) continue
    throw new EdgeInferError(
      'BAD_OPTION', `${file.place(member)}: Expected one of ${known.join(', ')} but received the option ${member}`,
    )
  }
}

function refuse(place: string, spec: OptionSpec, value: unknown): never {
  const shown = spec.member.includes('token') ? 'something else' : received(value)
  throw new EdgeInferError('BAD_OPTION', `${place}: Expected ${expected(spec)} but received ${shown}`)
}

function camelCase(name: string): string {
  return name.replace(/^--/, '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}
