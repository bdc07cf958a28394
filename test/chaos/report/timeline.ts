import { total } from '../checker/verdict';
import type { Verdict } from '../checker/verdict';
import type { HistoryLine, Start } from '../history';
import { createX, escape, timeAxis, WIDTH } from './axes';
import { OUTCOMES, outcomeOf, renderAnswers, renderBacklog, toColumns } from './charts';
import type { Outcome, Second } from './charts';
import { faultLegend, renderLanes } from './lanes';
import type { Span } from './lanes';
import { STYLE } from './style';

const SERVERS = ['broker', 'database'];
const KILLS = ['SIGKILL', 'crash point'];
const ANSWERS_HEIGHT = 200;
const BACKLOG_HEIGHT = 120;
const SPACE = 44;

export interface Timeline {
  add(line: HistoryLine): void;
  /** One page that needs nothing else: no script, no other file. */
  html(verdict: Verdict): string;
}

/** Gathers what a picture of the whole campaign shows, line by line: faults one by one, all else by the second. */
export function createTimeline(): Timeline {
  let start: Start | undefined;
  let faultsOverAt: number | undefined;
  let endMs = 1_000;
  const spans = new Map<number, Span>();
  const seconds: (Second | undefined)[] = [];

  function second(t: number): Second {
    const index = Math.floor(t / 1000);
    while (seconds.length <= index) seconds.push(undefined);
    return (seconds[index] ??= { answers: noAnswers() });
  }

  function add(line: HistoryLine): void {
    endMs = Math.max(endMs, line.t);
    switch (line.kind) {
      case 'start':
        start = line;
        break;
      case 'answer':
        second(line.t).answers[outcomeOf(line.status)] += 1;
        break;
      case 'sample': {
        if (line.pending === undefined) break;
        const seen = second(line.t);
        seen.pending = Math.max(line.pending, seen.pending ?? 0);
        break;
      }
      case 'vitals':
        second(line.t).heapBytes = line.heapBytes;
        break;
      case 'fault': {
        const span = spans.get(line.id);
        if (line.phase === 'begin') spans.set(line.id, { begin: line });
        else if (span) span.end = line;
        break;
      }
      case 'faults over':
        faultsOverAt = line.t;
        break;
      case 'invoke':
      case 'exit':
      case 'complaint':
      case 'end':
        break;
    }
  }

  function svg(): string {
    const x = createX(endMs);
    const targets = (start?.replicas ?? []).map((replica) => `replica ${replica}`);
    const hit = new Set([...spans.values()].map(({ begin }) => begin.target));
    const lanes = [...targets.filter((target) => hit.has(target)), ...SERVERS];
    const { svg: faults, bottom } = renderLanes([...spans.values()], lanes, { top: 20, endMs, x });
    const answers = { top: bottom + SPACE, bottom: bottom + SPACE + ANSWERS_HEIGHT, endMs, x };
    const backlog = {
      top: answers.bottom + SPACE,
      bottom: answers.bottom + SPACE + BACKLOG_HEIGHT,
      endMs,
      x,
    };
    const columns = toColumns(seconds);
    const height = backlog.bottom + 24;
    return [
      `<svg width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
      timeAxis(endMs, x, { top: 20, bottom: backlog.bottom }),
      faults,
      renderAnswers(columns, answers),
      renderBacklog(columns, backlog),
      faultsOverAt === undefined ? '' : endOfFaults(x(faultsOverAt), backlog.bottom),
      '</svg>',
    ].join('\n');
  }

  function title(): string {
    if (!start) return 'A campaign';
    const title = `A campaign of ${start.minutes} minutes, seed ${start.seed}`;
    const wasEnded = faultsOverAt !== undefined && faultsOverAt < start.minutes * 60_000;
    return wasEnded ? `${title}, ended after ${Math.round(faultsOverAt! / 1000)} seconds` : title;
  }

  return {
    add,
    html: (verdict) => {
      const all = [...spans.values()];
      const kills = all.filter(({ begin }) => KILLS.includes(begin.fault)).length;
      return [
        '<!doctype html>',
        `<html lang="en"><head><meta charset="utf-8"><title>${escape(title())}</title>`,
        `<style>${STYLE}</style></head><body>`,
        `<h1>${escape(title())}</h1>`,
        summary(verdict, all.length, kills),
        '<h2>Faults</h2>',
        legend(faultLegend(all)),
        svg(),
        legend([
          ...OUTCOMES.map((text, i) => ({ colour: `o${i}`, text })),
          { colour: 'fill-pending', text: 'orders with events to publish, the most at a time' },
          { colour: 'fill-heap', text: 'memory in use by the replica that is never ended' },
        ]),
        '</body></html>\n',
      ].join('\n');
    },
  };
}

function summary(verdict: Verdict, faults: number, kills: number): string {
  const violated = total(verdict, 'violated');
  const broken = verdict.results
    .filter((result) => result.violated > 0)
    .map(
      ({ invariant, title, violated: times }) =>
        `<li class="bad">${invariant} ${escape(title)}: ${times}</li>`,
    );
  return [
    `<p>${number(total(verdict, 'checked'))} facts checked, `,
    `<b class="${violated > 0 ? 'bad' : 'good'}">${number(violated)} violations</b>; `,
    `${number(faults)} faults, ${number(kills)} of them kills</p>`,
    ...(broken.length > 0 ? [`<ul>${broken.join('')}</ul>`] : []),
  ].join('');
}

function number(count: number): string {
  return count.toLocaleString('en');
}

function legend(entries: readonly { colour: string; text: string }[]): string {
  const keys = entries.map(
    ({ colour, text }) =>
      `<span><svg><rect class="${colour}" width="12" height="12" rx="2"/></svg>${escape(text)}</span>`,
  );
  return `<p class="legend">${keys.join('')}</p>`;
}

function endOfFaults(x: number, bottom: number): string {
  return (
    `<line class="over" x1="${x}" x2="${x}" y1="16" y2="${bottom}"/>` +
    `<text class="tick end" x="${x - 4}" y="12">the faults are over</text>`
  );
}

function noAnswers(): Record<Outcome, number> {
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
}
