// `node --import` of this turns the comments `// failpoint: NAME` of the sources into places where the process can be made to die.
// Without it, as in everything that is built, they are comments. FAILPOINT=NAME:3 kills at the third passage of NAME.
import { register } from 'node:module';

const [wanted, count = '1'] = (process.env.FAILPOINT ?? '').split(':');
let left = Number(count);

globalThis.failpoint = (name) => {
  if (name !== wanted) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
};

register(`data:text/javascript,${encodeURIComponent(`
  export async function load(url, context, nextLoad) {
    const loaded = await nextLoad(url, context);
    if (!/\\/src\\/.*\\.ts/.test(url) || loaded.source == null) return loaded;
    const text = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source).toString('utf8');
    return { ...loaded, source: text.replace(/\\/\\/ failpoint: ([a-z-]+)/g, "globalThis.failpoint('$1');") };
  }
`)}`);
