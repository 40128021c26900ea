// A file system of four MiB over a folder, for a disk that is full. Undefined, with a line that says so, where the
// machine grants no mount.
import { spawnSync } from 'node:child_process';

export interface SmallDisk {
  directory: string;
  end(): void;
}

export function mountSmallDisk(directory: string): SmallDisk | undefined {
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory]).status !== 0) {
    process.stderr.write('Left out: a full disk (no right to mount one)\n');
    return undefined;
  }
  return { directory, end: () => { spawnSync('umount', [directory]); } };
}
