// Processor time of processes with all below them, in nanoseconds, as Linux's scheduler counts it (/proc/PID/task/TID/schedstat).
import { readFile, readdir } from 'node:fs/promises';

/** One process and what it has started, however deep. */
async function family(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')));
  const below = await Promise.all(lists.flatMap((list) => list.trim().split(' ').filter((word) => word !== '').map(Number)).map(family));
  return [pid, ...below.flat()];
}

async function ownNanoseconds(pid: number): Promise<number> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const texts = await Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/schedstat`, 'utf8').catch(() => '0')));
  return texts.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0);
}

/** What they used since they began. A process that ended takes its share along. */
export async function processorNanoseconds(pids: readonly number[]): Promise<number> {
  const all = (await Promise.all(pids.map(family))).flat();
  return (await Promise.all(all.map(ownNanoseconds))).reduce((sum, one) => sum + one, 0);
}
