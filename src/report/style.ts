/** The page's style: light or dark as the reader's system is, and legible on a phone. */
export const style = `
:root {
  color-scheme: light dark;
  --text: #1c2126; --muted: #5b6570; --page: #ffffff; --card: #f5f7f9; --line: #d7dde3; --band: #c2cbd4;
  --better: #17703b; --worse: #b3261e; --same: #1456b8;
  --paper: #9aa0a8; --baseline: #4b5563; --reuseport: #8b3fa8; --steered: #c2258b; --sleep: #8a6d3b; --raw: #0e8a8a;
  --uring-0: #93b7ee; --uring-1: #6f9fe8; --uring-2: #3f7ddb; --uring-3: #1456b8;
  --epoll-0: #f3bf85; --epoll-1: #eaa04f; --epoll-2: #d97f1e; --epoll-3: #b05c05;
  --kernel-0: #9fd3b0; --kernel-1: #6cbb86; --kernel-2: #3a9a5c; --kernel-3: #17703b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6eaee; --muted: #9aa5b1; --page: #14181c; --card: #1d2329; --line: #343c45; --band: #48525d;
    --better: #6fd699; --worse: #ff8a80; --same: #9cc3ff;
    --paper: #7b848e; --baseline: #c3cad3; --reuseport: #d19be6; --steered: #f07ac4; --sleep: #d3b27a; --raw: #55cfcf;
    --uring-0: #3d5f94; --uring-1: #4c7cc4; --uring-2: #6a9fee; --uring-3: #9cc3ff;
    --epoll-0: #7d5526; --epoll-1: #b0742c; --epoll-2: #e0953a; --epoll-3: #ffbe73;
    --kernel-0: #2c6641; --kernel-1: #3f8f5c; --kernel-2: #5fbb80; --kernel-3: #8fe0ac;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem;
  font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
article > h1 { margin-top: 1.5rem; }
.answer { font-size: 1.15rem; line-height: 1.4; max-width: none; margin: .5rem 0; }
.trust { font-size: .85rem; max-width: none; }
.trust span:not(:last-child)::after { content: " · "; }
.screen { display: grid; grid-template-columns: minmax(0, 41rem) minmax(0, 1fr); gap: 1rem 1.5rem; align-items: start; }
@media (max-width: 60rem) { .screen { grid-template-columns: minmax(0, 1fr); } }
.screen h3:first-child { margin-top: 0; }
.screen ul { font-size: .88rem; }
.note { font-size: .8rem; margin: .3rem 0 0; }
details.run { margin-top: 1.2rem; border-top: 1px solid var(--line); padding-top: .8rem; }
details.run > summary { font-weight: 600; }
a { color: inherit; }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
h4 { font-size: .95rem; margin: .3rem 0; }
.findings { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: .4rem 2rem; }
p, ul { margin: .4rem 0; max-width: 60rem; }
ul { padding-left: 1.2rem; }
.muted, figcaption, caption { color: var(--muted); }
.figures { display: grid; grid-auto-flow: dense; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .8rem; background: var(--card); border-radius: .5rem; min-width: 0; }
.figures .broad { grid-column: 1 / -1; }
figcaption { font-size: .95rem; color: var(--text); font-weight: 600; margin-bottom: .3rem; }
figure svg { width: 100%; height: auto; overflow: visible; }
figure .narrow { display: none; }
@media (max-width: 34rem) {
  figure .wide { display: none; }
  figure .narrow { display: block; }
  figure { padding: .6rem .4rem; }
  body { padding: .8rem .6rem 3rem; }
  h1 { font-size: 1.15rem; }
  .answer { font-size: 1rem; }
}
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: .6rem 0; font-size: .95rem; }
.legend span { display: inline-flex; align-items: center; gap: .4rem; }
.legend svg { width: 2.2rem; height: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: .5rem 0; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .25rem .7rem .25rem 0; text-align: right; vertical-align: top; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; font-weight: 600; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, .left { text-align: left; }
tr.first td { border-top: 1px solid var(--line); }
td.words { white-space: normal; text-align: left; min-width: 12rem; }
.interval { color: var(--muted); font-size: .85em; display: block; }
.better { color: var(--better); font-weight: 600; }
.worse { color: var(--worse); font-weight: 600; }
.paper { color: var(--muted); }
details { margin: .6rem 0; }
summary { cursor: pointer; }
`;
