import { usualRule } from '../statistics/decide.js';
import { beyondReach } from './caveats.js';
import { drawForest } from './forest.js';
import { listOf } from './format.js';
import { type HeadlinePoint, headlinePoints, type Reported } from './headline.js';
import { headlineSentence, openSentences } from './headline-words.js';
import { html, type Markup, trusted } from './markup.js';
import { axisHint } from './points.js';
import { trustWords } from './trust.js';

/** The answer on one screen: what was found, how far to believe it, what is open, what cannot be told here. */
export function firstScreen(runs: Reported[]): Markup {
  const all = headlinePoints(runs);
  const results = runs.map((run) => run.results);
  return html`<section class="first">
<p class="answer">${headlineSentence(all)}</p>
<p class="muted trust">${trustWords(results).map((words) => html`<span>${words}</span>`)}</p>
<div class="screen">
${forestFigure(all)}
<div>
${openList(openSentences(all, results))}
<h3>What cannot be said here</h3>
<ul>${beyondReach(runs).map((words) => html`<li>${words}</li>`)}</ul>
</div>
</div>
</section>`;
}

function forestFigure(all: HeadlinePoint[]): Markup | undefined {
  const forest = drawForest(all);
  if (!forest) return undefined;
  return html`<figure class="forest">
<figcaption>Times stock I/O, of the same round</figcaption>
<div class="wide">${trusted(forest.wide)}</div>
<div class="narrow">${trusted(forest.narrow)}</div>
<p class="muted note">Filled: decided. Hollow: open. Grey band: the same within ${usualRule.margin * 100} %. ${rowHint(all)}The chance that any of these verdicts is wrong is at most ${usualRule.alpha * 100} %.</p>
</figure>`;
}

/** What the rows' numbers are. */
function rowHint(all: HeadlinePoint[]): string {
  const hints = new Set(all.flatMap(({ points }) => axisHint(points) ?? []));
  return hints.size === 0 ? '' : `Numbers of rows: ${listOf([...hints])}. `;
}

function openList(sentences: string[]): Markup {
  if (sentences.length === 0) return html`<h3>Not decided</h3><p>Everything that was asked is decided.</p>`;
  return html`<h3>Not decided</h3><ul>${sentences.map((words) => html`<li>${words}</li>`)}</ul>`;
}
