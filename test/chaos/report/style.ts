/** Colours of faults (k), outcomes (o) and the rest, for a light and for a dark page. */
const LIGHT = {
  page: '#ffffff',
  text: '#1f2328',
  quiet: '#59636e',
  grid: '#d8dee4',
  lane: '#f3f5f7',
  bad: '#b42318',
  good: '#1a7f37',
  pending: '#0969da',
  heap: '#8250df',
};
const DARK: typeof LIGHT = {
  page: '#14181d',
  text: '#e6edf3',
  quiet: '#9aa5b1',
  grid: '#30373f',
  lane: '#1d232a',
  bad: '#ff8577',
  good: '#56d364',
  pending: '#58a6ff',
  heap: '#c297ff',
};

/** Read on both pages. SIGKILL, crash point, SIGSTOP, rolling restart, cut, black hole, delay, swallowed, disk, others. */
const FAULTS = [
  ...['#e5484d', '#f08c2e', '#3b82f6', '#12a594', '#8e5ee6', '#7d8794', '#d3a904', '#e05aa8', '#a0673c'],
  '#30a8c9',
];
/** 201, 204, 200, 409, other 4xx, 503, other 5xx, lost. */
const OUTCOMES = ['#30a46c', '#7ccba2', '#6ea8fe', '#d9b44a', '#b58ae0', '#f08c2e', '#e5484d', '#7d8794'];

export const STYLE = `
:root { color-scheme: light dark; ${variables(LIGHT)} }
@media (prefers-color-scheme: dark) { :root { ${variables(DARK)} } }
body { margin: 24px auto; width: 1200px; background: var(--page); color: var(--text);
  font: 14px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 20px; margin: 0 0 4px; font-weight: 600; }
h2 { font-size: 14px; margin: 20px 0 4px; font-weight: 600; }
p, ul { margin: 4px 0; color: var(--quiet); }
.good { color: var(--good); } .bad { color: var(--bad); }
.legend span { display: inline-block; margin-right: 16px; white-space: nowrap; }
.legend svg { width: 12px; height: 12px; margin-right: 5px; vertical-align: -1px; }
svg text { fill: var(--text); font-size: 12px; }
svg .tick { fill: var(--quiet); font-size: 11px; font-variant-numeric: tabular-nums; }
svg .caption { fill: var(--text); font-weight: 600; }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
.grid { stroke: var(--grid); stroke-width: 1; shape-rendering: crispEdges; }
.lane { fill: var(--lane); } .fault { opacity: 0.72; } .fault:hover { opacity: 1; }
.over { stroke: var(--text); stroke-width: 1; stroke-dasharray: 4 3; }
.pending, .heap { fill: none; stroke-width: 1.4; stroke-linejoin: round; }
.pending { stroke: var(--pending); } .heap { stroke: var(--heap); stroke-dasharray: 5 3; }
svg text.heap { fill: var(--heap); stroke: none; }
.fill-pending { fill: var(--pending); } .fill-heap { fill: var(--heap); }
${FAULTS.map((colour, i) => `.k${i} { fill: ${colour}; }`).join(' ')}
${OUTCOMES.map((colour, i) => `.o${i} { fill: ${colour}; }`).join(' ')}
`;

function variables(colours: typeof LIGHT): string {
  return Object.entries(colours)
    .map(([name, colour]) => `--${name}: ${colour};`)
    .join(' ');
}
