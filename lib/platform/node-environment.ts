/** How this package is installed and run. */

/** Of child processes that run `process.execPath`. Electron's is Node.js only where it is told to be. */
export function nodeEnvironment(): NodeJS.ProcessEnv {
  return process.versions.electron === undefined ? process.env : { ...process.env, ELECTRON_RUN_AS_NODE: '1' }
}
