import type { Point } from '../results/schema.js';
import type { FigureName, Section } from './model.js';
import { paperTable3 } from './paper.js';

/** A value that the paper's text or a table of it gives, to be set beside ours. */
export type Mark = { point: Point; value: number; says: string };

/** Where the paper has it; all else of the point is as in the section. */
type Quoted = { at: Partial<Point>; value: number; says: string };

type Place = { application: string; axis: Section['axis']; facet: Section['facet']; figure: FigureName };

/** Table 3 has what each technique added: the lines are what they then gave together. */
function table3(): Quoted[] {
  const names = ['P', 'PB', 'PBL'];
  return names.flatMap((name, index) =>
    paperTable3.points.map((requestsPerConnection, column) => ({
      at: { requestsPerConnection },
      value:
        1 +
        paperTable3.rows.slice(0, index + 1).reduce((sum, { gains }) => sum + (gains[column] ?? 0), 0) / 100,
      says: `${name}, eight cores (Table 3)`,
    })),
  );
}

const speedups: Quoted[] = (
  [
    [1, 1.3],
    [10, 4.6],
    [128, 6.7],
  ] as const
).map(([requestsPerConnection, value]) => ({
  at: { requestsPerConnection, cores: 8 },
  value,
  says: 'epoll with a shared listener (section 2.2)',
}));

const quoted: (Place & { marks: Quoted[] })[] = [
  {
    application: 'echo',
    axis: 'requestsPerConnection',
    facet: undefined,
    figure: 'relative',
    marks: table3(),
  },
  {
    application: 'echo',
    axis: 'cores',
    facet: 'requestsPerConnection',
    figure: 'speedup',
    marks: [
      ...speedups,
      { at: { requestsPerConnection: 1, cores: 8 }, value: 6.4, says: 'MegaPipe, at least (section 5.1)' },
    ],
  },
  {
    application: 'echo',
    axis: 'cores',
    facet: 'requestsPerConnection',
    figure: 'efficiency',
    marks: speedups.map((mark) => ({ ...mark, value: mark.value / 8 })),
  },
  {
    application: 'memcached',
    axis: 'requestsPerConnection',
    facet: undefined,
    figure: 'relative',
    marks: [
      { at: { requestsPerConnection: 'unlimited' }, value: 1, says: 'eight cores (section 5.2)' },
      { at: { requestsPerConnection: 'unlimited' }, value: 1.15, says: '-FL, eight cores (section 5.2)' },
      { at: { requestsPerConnection: 'unlimited' }, value: 1.16, says: 'one core (section 5.2)' },
    ],
  },
  {
    application: 'nginx',
    axis: 'cores',
    facet: 'workload',
    figure: 'relative',
    marks: [
      { at: { workload: 'yahoo/2', cores: 1 }, value: 1.47, says: 'MegaPipe (section 5.3)' },
      { at: { workload: 'yahoo/2', cores: 8 }, value: 1.75, says: 'MegaPipe (section 5.3)' },
    ],
  },
  {
    application: 'nginx',
    axis: 'cores',
    facet: 'workload',
    figure: 'speedup',
    marks: [
      { at: { workload: 'yahoo/2', cores: 8 }, value: 5.4, says: 'stock nginx (section 5.3)' },
      { at: { workload: 'yahoo/2', cores: 8 }, value: 6.5, says: 'MegaPipe (section 5.3)' },
    ],
  },
];

/** What the paper gives of a figure, as far as the section has panels for it. */
export function paperMarks({ application, axis, facet, points }: Section, figure: FigureName): Mark[] {
  const place = quoted.find(
    (one) =>
      one.application === application && one.axis === axis && one.facet === facet && one.figure === figure,
  );
  return (place?.marks ?? []).flatMap(({ at, value, says }) => {
    const like = points.find((point) => !facet || !(facet in at) || point[facet] === at[facet]);
    return like ? [{ point: { ...like, ...at }, value, says }] : [];
  });
}
