#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { UserError } from './base/errors.js';
import { addAgentCommand } from './commands/agent.js';
import { addBenchCommand } from './commands/bench.js';
import { addBuildCommand } from './commands/build.js';
import { addDoctorCommand } from './commands/doctor.js';
import { addFilesCommand } from './commands/files.js';
import { addLoadCommand } from './commands/load.js';
import { addReportCommand } from './commands/report.js';
import { addServeCommand } from './commands/serve.js';
import { addSetupCommand } from './commands/setup.js';
import { addVmCommand } from './commands/vm.js';

/** The command line's table of contents; each command is a file in commands/. */
function buildProgram(): Command {
  const program = new Command('megapipe')
    .description('MegaPipe on stock kernels: build, load, compare and report')
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .showHelpAfterError(false);
  addSetupCommand(program);
  addDoctorCommand(program);
  addBuildCommand(program);
  addServeCommand(program);
  addFilesCommand(program);
  addLoadCommand(program);
  addAgentCommand(program);
  addBenchCommand(program);
  addReportCommand(program);
  addVmCommand(program);
  return program;
}

/** Print a failure; a bug keeps its stack, an expected failure is a sentence and what to do. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return reportUsage(error);
  if (error instanceof UserError) {
    console.error(`megapipe: ${error.message}${error.hint ? `; ${error.hint}` : ''}`);
    return error.exitCode;
  }
  console.error(error);
  return 70;
}

function reportUsage(error: CommanderError): number {
  if (error.exitCode === 0) return 0;
  if (error.code === 'commander.help') return 2;
  console.error(`megapipe: ${error.message.replace(/^error: |\.$/g, '')}; see --help`);
  return 2;
}

try {
  await buildProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
