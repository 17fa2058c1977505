/** The user's own npm configuration, as pacote takes it: registries, their credentials, proxy, certificates, cache. */
import { execFile } from 'node:child_process'
import { access, constants, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type pacote from 'pacote'

const run = promisify(execFile)

type Config = Record<string, unknown>

/**
 * Asks npm itself, so that every file, default and environment variable it knows counts; once for each download.
 * `spare`: a cache of ours for where npm's own cannot be written, as under a service account without a home.
 */
export async function npmOptions(spare: string, signal?: AbortSignal): Promise<pacote.Options> {
  const config = await askNpm(signal)
  const own = typeof config.cache === 'string' ? join(config.cache, '_cacache') : undefined
  return {
    ...scopedRegistries(config),
    ...(await credentials(config)),
    ...defined({
      registry: config.registry,
      cache: own !== undefined && await canWrite(own) ? own : spare,
      ca: await certificates(config),
      cert: config.cert,
      key: config.key,
      strictSSL: config['strict-ssl'],
      proxy: config.proxy || undefined,
      httpsProxy: config['https-proxy'] || config.proxy || undefined,
      noProxy: config.noproxy,
      localAddress: config['local-address'],
      userAgent: config['user-agent'],
      offline: config.offline,
      preferOffline: config['prefer-offline'],
      timeout: config['fetch-timeout'],
      maxSockets: config.maxsockets,
      replaceRegistryHost: config['replace-registry-host'],
    }),
    retry: {
      retries: Number(config['fetch-retries'] ?? 2),
      factor: Number(config['fetch-retry-factor'] ?? 10),
      minTimeout: Number(config['fetch-retry-mintimeout'] ?? 10_000),
      maxTimeout: Number(config['fetch-retry-maxtimeout'] ?? 60_000),
    },
  }
}

async function canWrite(directory: string): Promise<boolean> {
  try {
    await mkdir(directory, { recursive: true })
    await access(directory, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function defined(options: Config): Config {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== null))
}

/** Without an npm on the path the defaults of pacote and the registry of the environment must do. */
async function askNpm(signal: AbortSignal | undefined): Promise<Config> {
  const script = process.env.npm_execpath
  const [command, first] = script?.endsWith('.js') ? [process.execPath, [script]] : ['npm', []]
  try {
    const arguments_ = [...first, 'config', 'list', '--json', '--loglevel=silent']
    const { stdout } = await run(command, arguments_, { maxBuffer: 1 << 24, timeout: 30_000, signal })
    return JSON.parse(stdout) as Config
  } catch {
    return { registry: process.env.npm_config_registry }
  }
}

function scopedRegistries(config: Config): Config {
  return Object.fromEntries(Object.entries(config).filter(([key]) => /^@.*:registry$/.test(key)))
}

async function certificates(config: Config): Promise<unknown> {
  if (config.ca) return config.ca
  if (typeof config.cafile !== 'string' || config.cafile === '') return undefined
  const text = await readFile(config.cafile, 'utf8')
  return text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? undefined
}

/** npm prints no credentials, so the `//registry/:_authToken=…` lines are read from the files it named. */
async function credentials(config: Config): Promise<Config> {
  const project = join(String(config['local-prefix'] ?? process.cwd()), '.npmrc')
  const files = [config.globalconfig, config.userconfig, project]
  const found: Config = {}
  for (const file of files) {
    if (typeof file !== 'string') continue
    const text = await readFile(file, 'utf8').catch(() => '')
    for (const [, key, value] of text.matchAll(/^\s*(\/\/[^=\s]+)\s*=\s*(.*?)\s*$/gm)) {
      if (key !== undefined && value !== undefined) found[key] = withVariables(value.replace(/^(["'])(.*)\1$/, '$2'))
    }
  }
  for (const [name, value] of Object.entries(process.env)) {
    const key = /^npm_config_(\/\/.+)$/i.exec(name)?.[1]
    if (key !== undefined) found[key] = value
  }
  return found
}

function withVariables(value: string): string {
  return value.replace(/\$\{([^}]+)\}/g, (whole, name: string) => process.env[name] ?? whole)
}
