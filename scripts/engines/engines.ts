// npm run engines [-- stop | env | status]: the real servers that Muniment is joined to, on this machine's loopback.
import { ENGINE_NAMES } from './engine.ts';
import { ensureEngines, inspectEngines, stopEngines, type EngineReport } from './ensure-engines.ts';

const USAGE = 'usage: npm run engines [-- start | stop | env | status]';

const COMMANDS: Record<string, () => Promise<number>> = {
  start: async () => {
    const reports = await ensureEngines({ wanted: ENGINE_NAMES, build: true, log: (line) => { console.log(line); } });
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
const command = rest.length === 0 ? COMMANDS[word] : undefined;
if (command === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  process.exitCode = await command();
}
