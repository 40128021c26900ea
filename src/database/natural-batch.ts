// Natural batching: the first question leaves at once, those that come while it is under way leave together. On a busy
// server one message then serves many requests; on an idle one nobody waits.

interface Waiting<Key, Answer> {
  key: Key;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

const KEYS_PER_BATCH = 64;

/** `ask` answers a batch of keys of one lane, in their order. */
export function createNaturalBatch<Key, Answer>(ask: (lane: string, keys: Key[]) => Promise<Answer[]>): (lane: string, key: Key) => Promise<Answer> {
  const lanes = new Map<string, Waiting<Key, Answer>[]>();

  async function work(lane: string, waiting: Waiting<Key, Answer>[]): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, KEYS_PER_BATCH);
      try {
        const answers = await ask(lane, batch.map((one) => one.key));
        batch.forEach((one, position) => one.resolve(answers[position] as Answer));
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
    }
    lanes.delete(lane);
  }

  return (lane, key) => new Promise((resolve, reject) => {
    const running = lanes.get(lane);
    const waiting = running ?? [];
    waiting.push({ key, resolve, reject });
    if (running !== undefined) return;
    lanes.set(lane, waiting);
    void work(lane, waiting);
  });
}
