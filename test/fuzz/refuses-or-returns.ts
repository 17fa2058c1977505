/** Calls `act`, which may refuse its input with an error that `isRefusal` knows; throws any other. */
export function refusesOrReturns<T>(isRefusal: (error: unknown) => boolean, act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (!isRefusal(error)) throw error
    return undefined
  }
}
