import { createHash } from 'node:crypto';
import type { RequestHandler, Response } from 'express';
import { isProblemCode, PROBLEM_CODES, PROBLEM_TYPES, type ProblemCode } from './problem-types';
import { problem, problemsPath, sendProblem } from './problems';

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:44rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;line-height:1.3}h2{font-size:1rem;margin-bottom:0}p{margin-top:.2rem}a{color:#0b5cad}
table{border-collapse:collapse}td{padding:.2rem 1rem .2rem 0;vertical-align:top}code{font-size:.95em}`;

/** Nothing but this style: no script, no image, no form. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';');

/** Changes with a release only. */
const CACHE = 'public, max-age=3600';

const noSuchPage = problem('no-such-route');

/** The page of a problem type, for the person who looks up the `type` of a problem. */
export function showProblemType(basePath: string): RequestHandler {
  return (req, res) => {
    const code = String(req.params['code']);
    if (isProblemCode(code)) sendPage(res, pageOf(code, problemsPath(basePath)));
    else sendProblem(res, noSuchPage);
  };
}

/** The page that lists all problem types. */
export function listProblemTypes(basePath: string): RequestHandler {
  const rows = PROBLEM_CODES.map((code) => {
    const { status, title } = PROBLEM_TYPES[code];
    const link = `<a href="${problemsPath(basePath)}/${code}"><code>${code}</code></a>`;
    return `<tr><td>${status}</td><td>${link}</td><td>${toHtml(title)}</td></tr>`;
  });
  const page = pageWith('Problems', `<h1>Problems</h1><table>${rows.join('\n')}</table>`);
  return (_req, res) => sendPage(res, page);
}

function pageOf(code: ProblemCode, allAt: string): string {
  const { status, title, cause, remedy } = PROBLEM_TYPES[code];
  return pageWith(
    title,
    `<p><code>${status} ${code}</code></p><h1>${toHtml(title)}</h1>
<h2>Cause</h2><p>${toHtml(cause)}</p>
<h2>What a client does</h2><p>${toHtml(remedy)}</p>
<p><a href="${allAt}">All problems</a></p>`,
  );
}

function pageWith(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${toHtml(title)} – Order Service</title><style>${STYLE}</style></head><body>
${body}
</body></html>
`;
}

function sendPage(res: Response, html: string): void {
  res.set({ 'Content-Security-Policy': POLICY, 'Cache-Control': CACHE }).type('html').send(html);
}

/** Text with the Markdown of the catalogue: `code`. */
function toHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}
