#!/usr/bin/env node
// The command `muniment`: builds when the sources are newer than the last build, then runs.
import { build } from './build.mjs';

build();
await import('../dist/src/main.js');
