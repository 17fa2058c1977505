/**
 * Results of `work` in the order of `items`, at most `limit` under way. Items are taken one at a time and only as
 * results are, so that memory is bounded. When a result is an error, or the reader stops, what is under way is awaited
 * and dropped.
 */
export async function* mapInOrder<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>, limit: number, work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const underWay: Promise<Result>[] = []
  try {
    for await (const item of items) {
      const result = work(item)
      // Until its turn comes, a failure is nobody's.
      result.catch(() => {})
      underWay.push(result)
      if (underWay.length >= limit) yield await (underWay.shift() as Promise<Result>)
    }
    while (underWay.length > 0) yield await (underWay.shift() as Promise<Result>)
  } finally {
    await Promise.allSettled(underWay)
  }
}
