// A small file system over a folder, for a disk that is full. Undefined, with a line that says so, where the
// machine grants no mount.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

export interface SmallDisk {
  directory: string;
  /** To so many MiB. */
  resize(mib: number): void;
  end(): void;
}

/** Makes the folder where it is not there. */
export function mountSmallDisk(directory: string, mib = 4): SmallDisk | undefined {
  mkdirSync(directory, { recursive: true });
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', directory]).status !== 0) {
    process.stderr.write('Left out: a full disk (no right to mount one)\n');
    return undefined;
  }
  return { directory, resize: (to) => { spawnSync('mount', ['-o', `remount,size=${to}m`, directory]); }, end: () => { spawnSync('umount', [directory]); } };
}
