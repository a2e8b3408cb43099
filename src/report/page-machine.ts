import type { MachineRecord, Results } from '../results/schema.js';
import { html, type Markup } from './markup.js';

/** How it was measured, and on what. */
export function machineSection({ machine }: Results): Markup {
  return html`<section>
<h2>How it was measured</h2>
${method(machine)}
<h3>Machine</h3>
${facts(machineFacts(machine))}
<h3>Versions</h3>
${facts({ 'this kit': machine.commit, ...machine.versions })}
<h3>Load</h3>
<p>${machine.workload.description}.</p>
${facts(machine.workload.parameters)}
<details><summary>Arguments of every server, kernel settings, mitigations</summary>
${facts({ 'server arguments': machine.workload.serverArguments.join(' ') })}
${facts(machine.sysctls)}
${facts(machine.mitigations)}
</details>
</section>`;
}

function method({ plan }: MachineRecord): Markup {
  return html`<ul>
<li>Every sample has a server of its own, warms up for ${plan.warmupMs / 1000} s and measures for ${plan.durationMs / 1000} s. The variants of a point are measured one after another in a round, in another order each round; up to ${plan.samples} rounds.</li>
<li>A ratio is taken within a round, and so of fresh servers; what is shown is the geometric mean of the rounds. Its interval is an anytime-valid confidence sequence, which holds the true ratio with 95 % however often one looked. On the first screen it is as wide as deciding all that is there together takes.</li>
<li>A ratio of throughput or latency leaves out rounds in which others took over a tenth of the CPUs’ time; where fewer than two are left, it is of all rounds and decides nothing.</li>
<li>Other quantities are medians. Their intervals are of order statistics: they hold the true median with at least 95 % where there are six samples or more, with 94 % where there are five, whatever the distribution.</li>
<li>Server CPU time is the user and system time of all the server’s processes. Where both sides share the CPUs it holds the soft interrupts that ran on the server’s account, and not those that ran on the clients’.</li>
<li>System calls are counted with perf in samples of their own, which are in no other number. Crossings, where they are shown, are what the server’s channels count themselves.</li>
<li>A sample with any error, miss or wrong value is a failed one.</li>
</ul>`;
}

function machineFacts(machine: MachineRecord): Record<string, string> {
  return {
    CPU: `${machine.cpus} × ${machine.cpuModel} (${machine.architecture})`,
    memory: `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`,
    kernel: machine.kernel,
    distribution: machine.distribution,
    virtualization: machine.virtualization,
  };
}

function facts(all: Record<string, string | number>): Markup {
  return html`<div class="scroll"><table>${Object.entries(all).map(
    ([name, value]) => html`<tr><td>${name}</td><td class="words">${value}</td></tr>`,
  )}</table></div>`;
}
