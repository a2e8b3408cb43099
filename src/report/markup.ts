/** Text that is markup already and must not be escaped again. */
export type Markup = { readonly markup: string };

type Content = string | number | Markup | Content[] | undefined;

/** Markup in which everything that was put in is text, unless it is markup itself. */
export function html(fixed: TemplateStringsArray, ...contents: Content[]): Markup {
  const parts = fixed.map((text, index) => (index === 0 ? text : render(contents[index - 1]) + text));
  return { markup: parts.join('') };
}

/** Markup from elsewhere, which is trusted: the drawings. */
export function trusted(markup: string): Markup {
  return { markup };
}

function render(content: Content): string {
  if (content === undefined) return '';
  if (Array.isArray(content)) return content.map(render).join('');
  return typeof content === 'object' ? content.markup : escapeText(String(content));
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}
