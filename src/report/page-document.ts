import type { FigureSpec } from './figure-specs.js';
import { drawFigure } from './figures.js';
import { html, type Markup, trusted } from './markup.js';
import type { Section } from './model.js';
import { style } from './style.js';

/** A page that needs nothing else: its title as a heading, what is said under that, and the rest. */
export function documentOf(title: string, under: (Markup | undefined)[], main: Markup[]): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${trusted(style)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
${under}
</header>
<main>
${main}
</main>
</body>
</html>
`;
  return page.markup;
}

/** A quantity drawn for both widths of a window; nothing where there is nothing to draw. */
export function figure(section: Section, spec: FigureSpec, caption = spec.title): Markup | undefined {
  const drawing = drawFigure(section, spec);
  if (!drawing) return undefined;
  return html`<figure${drawing.broad ? html` class="broad"` : ''}>
<figcaption>${caption}</figcaption>
<div class="wide">${trusted(drawing.wide)}</div>
<div class="narrow">${trusted(drawing.narrow)}</div>
</figure>`;
}
