// npm run engines [-- stop | env | status]: the real servers that Muniment is joined to, on this machine's loopback.
import { DEFAULT_ENGINES, ENGINE_NAMES, type EngineName } from './engine.ts';
import { ensureEngines, inspectEngines, stopEngines, type EngineReport } from './ensure-engines.ts';

const USAGE = `usage: npm run engines [-- start [NAME …] | stop | env | status]\nstart without names starts ${DEFAULT_ENGINES.join(', ')}; ${ENGINE_NAMES.join(', ')} can be named`;

const COMMANDS: Record<string, (wanted: readonly EngineName[]) => Promise<number>> = {
  start: async (wanted) => {
    const reports = await ensureEngines({ wanted, build: true, log: (line) => { console.log(line); } });
    printReports(reports);
    return process.env['ENGINES'] === 'required' && reports.some(({ state }) => state === 'unavailable') ? 1 : 0;
  },
  stop: async () => {
    const ended = await stopEngines();
    console.log(ended.map(({ name, pid }) => `${name} (process ${pid}) ended`).join('\n') || 'nothing was running');
    return 0;
  },
  env: async () => {
    const reports = await inspectEngines();
    for (const { environment } of reports) {
      for (const [name, value] of Object.entries(environment)) console.log(`${name}=${value}`);
    }
    return 0;
  },
  status: async () => {
    printReports(await inspectEngines());
    return 0;
  },
};

function printReports(reports: EngineReport[]): void {
  for (const { name, state, reason, logTail } of reports) {
    console.log(`${name.padEnd(9)} ${state}${reason === undefined ? '' : `: ${reason}`}`);
    if (logTail !== undefined) console.log(logTail.replace(/^/gm, '    '));
  }
}

const [word = 'start', ...rest] = process.argv.slice(2);
const named = ENGINE_NAMES.filter((name) => rest.includes(name));
const command = named.length === rest.length && (rest.length === 0 || word === 'start') ? COMMANDS[word] : undefined;
if (command === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  process.exitCode = await command(named.length === 0 ? DEFAULT_ENGINES : named);
}
