import type { Command } from 'commander';
import { diagnose, formatDiagnosis } from '../doctor/doctor.js';

/** `megapipe doctor`: what this machine can do, what is missing, and what that costs. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('tell what this machine can do, what is missing and what that costs')
    .option('--json', 'as JSON, for programs')
    .action(async (options: { json?: boolean }) => {
      const diagnosis = await diagnose();
      console.log(options.json ? JSON.stringify(diagnosis, null, 2) : formatDiagnosis(diagnosis));
    });
}
