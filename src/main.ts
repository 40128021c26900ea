// The command line: `muniment COMMAND`, serve by default.
import { readEnvironment } from './config/env.ts';
import { runAdminCommand } from './admin-command.ts';
import { runServeCommand } from './serve-command.ts';
import { runInventoryCommand } from './inventory-command.ts';
import { runLaunchCommand } from './launch-command.ts';
import { runPolicyCommand } from './policy-command.ts';
import { runRetentionCommand } from './retention-command.ts';
import { runRecordCommand } from './record-command.ts';
import { runScrubCommand } from './scrub-command.ts';
import { runTokenCommand } from './token-command.ts';
import { runMirrorCommand } from './mirror-command.ts';
import { runGrantKeyCommand, runMigrateCommand, runReindexCommand, runSweepCommand } from './operator-commands.ts';
import { runVerifyCommand } from './verify-command.ts';

const HELP = `Usage: muniment [COMMAND] [flags]     --help on each

  serve      starts the server (default)
  token      prints a bearer token for development
  launch     opens a SMART app as an EHR does, for development
  migrate    brings the database to the newest schema
  mirror     status | list | show | replay | skip | reconcile | backfill   what HAPI holds
  policy     explain --as ROLE --can ACTION  says what a policy permits, and which rule decides
  sweep      says which bytes were never published; --apply removes them
  verify     [--since DATE | --export DIR] [--key FILE]  compares the record with its signed log
  record     export --to DIR  writes the record as files that are verified without the database; remove  takes out what is old
  scrub      [--all] [--restore]  compares bytes at rest with their digests
  inventory  compares what the store lists with the table of contents, in both directions
  retention  lists what is due for review
  hold       list | show | place | lift   legal holds
  purge      list | show | request | approve | withdraw   by two administrators, after the retention
  files      list | unlinked | find | show | link   what is held as bytes, and links that were lost
  jobs       what goes on in the background, and how far it is
  quota      what an organisation holds of what it may; set by the operator
  reindex    [--status | --all]  fills search parameters that older resources lack
  grant-key  makes a new key for signed URLs
`;

async function main(argv: readonly string[]): Promise<number> {
  const [command = 'serve', ...flags] = argv;
  const environment = readEnvironment();
  switch (command) {
    case 'serve': return runServeCommand(flags, environment);
    case 'token': return runTokenCommand(flags, environment);
    case 'launch': return runLaunchCommand(flags, environment);
    case 'migrate': return runMigrateCommand(flags, environment);
    case 'mirror': return runMirrorCommand(flags, environment);
    case 'sweep': return runSweepCommand(flags, environment);
    case 'verify': return runVerifyCommand(flags, environment);
    case 'record': return runRecordCommand(flags, environment);
    case 'scrub': return runScrubCommand(flags, environment);
    case 'inventory': return runInventoryCommand(flags, environment);
    case 'policy': return runPolicyCommand(flags, environment);
    case 'retention': case 'hold': case 'purge': return runRetentionCommand(command, flags, environment);
    case 'reindex': return runReindexCommand(flags, environment);
    case 'grant-key': return runGrantKeyCommand(flags, environment);
    case 'files': case 'jobs': case 'quota': return runAdminCommand(command, flags, environment);
    case '--help': case 'help': process.stdout.write(HELP); return 0;
    default: process.stderr.write(`Unknown command ${command}\n${HELP}`); return 2;
  }
}

process.exitCode = await main(process.argv.slice(2));
