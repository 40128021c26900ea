// Pages for people at / and /openapi: plain HTML that works by keyboard, without scripts and with nothing from outside.
import { createHash } from 'node:crypto';
import type { Schema } from '../adapters/row-description.ts';
import type { OpenapiDocument, Operation } from './openapi.ts';

const STYLE = `
:root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }
body { margin: 0; background: light-dark(#f3f5f8, #14181d); color: light-dark(#17212b, #e8edf2); }
main { max-width: 60rem; margin: 2rem auto; padding: 1.5rem 2rem; background: light-dark(#fff, #1d232a); border-radius: .75rem; box-shadow: 0 1px 6px rgb(0 0 0 / .18); }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .25rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
a { color: light-dark(#0b5cad, #7db8f5); }
:focus-visible { outline: 3px solid #e08a00; outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; list-style: none; }
details { border: 1px solid #6b778566; border-radius: .4rem; margin: .4rem 0; }
summary { padding: .4rem .75rem; cursor: pointer; overflow-wrap: anywhere; }
details > div { padding: 0 .75rem .75rem; }
code { font-size: .9rem; overflow-wrap: anywhere; }
b.method { display: inline-block; min-width: 4.2rem; font-size: .85rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th { white-space: nowrap; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #6b778533; }
td { overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .6rem; background: light-dark(#f3f5f8, #14181d); border-radius: .4rem; font-size: .85rem; }
.note { font-size: .9rem; opacity: .85; }
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; }
`;

/** Headers of these pages; nothing but the style may load. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-cache',
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
};

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => ESCAPES[character] as string);
/** Words between backquotes are code. */
const prose = (text: string): string => escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

function page(title: string, body: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

/** What this server is, and where to go on. */
export function startPage({ info, tags }: OpenapiDocument): string {
  return page('Muniment', `<main>
<h1>Muniment</h1>
<p>A FHIR R4 server for clinical documents. It can prove what it holds, who saw it, and that nothing is missing. Version ${escape(info.version)}.</p>
<ul>
<li><a href="/openapi">The API, to read</a>, or as <a href="/openapi.json">OpenAPI 3.1</a></li>
<li><a href="/fhir/metadata?_format=json&amp;_pretty=true">What it offers as a FHIR server</a> (CapabilityStatement)</li>
<li><a href="/fhir/.well-known/smart-configuration">How applications sign in</a> (SMART)</li>
<li><a href="/health/ready">Whether each part works</a></li>
</ul>
<h2>Ways in</h2>
<table><tbody>${tags.filter(({ name }) => name !== 'server').map(({ name, description }) => `<tr><th scope="row"><a href="/openapi#${anchor(name)}">/${escape(name)}</a></th><td>${escape(description)}</td></tr>`).join('')}</tbody></table>
<p class="note">All but the pages named above asks for a bearer token, and every access is recorded before it is answered.</p>
</main>`);
}

const anchor = (tag: string): string => `tag-${tag.replaceAll(/[^A-Za-z0-9]/g, '-')}`;

function schemaText(schema: Schema): string {
  const name = schema === true ? undefined : schema['$ref'];
  if (typeof name === 'string') return `<a href="#schema-${escape(name.split('/').at(-1) ?? '')}">${escape(name.split('/').at(-1) ?? '')}</a>`;
  return `<code>${escape(JSON.stringify(schema))}</code>`;
}

function parameterRows({ parameters }: Operation): string {
  if (parameters.length === 0) return '';
  const rows = parameters.map(({ name, in: place, required, description = '', schema }) => `<tr><th scope="row"><code>${escape(name)}</code></th><td>${place}${required === true ? ', needed' : ''}</td><td>${prose(description)}</td><td>${schemaText(schema)}</td></tr>`);
  return `<h3>Parameters</h3><table><tbody>${rows.join('')}</tbody></table>`;
}

/** In full where it has members, for these are what is sought here. */
const shapeText = (schema: Schema): string => (schema !== true && schema['properties'] !== undefined ? `<pre>${escape(JSON.stringify(schema['properties'], undefined, 1))}</pre>` : schemaText(schema));
const bodyRows = (content: Record<string, { schema: Schema }>): string => Object.entries(content).map(([type, { schema }]) => `<div><code>${escape(type)}</code>: ${shapeText(schema)}</div>`).join('');

function operationBlock(path: string, method: string, operation: Operation): string {
  const { operationId, summary, requestBody, responses, security } = operation;
  const answers = Object.entries(responses).map(([status, { description, content }]) => `<tr><th scope="row">${status}</th><td>${prose(description)}${Number(status) < 400 ? bodyRows(content ?? {}) : ''}</td></tr>`);
  return `<details id="${escape(operationId)}"><summary><b class="method">${method.toUpperCase()}</b> <code>${escape(path)}</code> ${escape(summary)}</summary><div>
${security?.length === 0 ? '<p class="note">No bearer token is asked for.</p>' : ''}${parameterRows(operation)}
${requestBody === undefined ? '' : `<h3>Body${requestBody.required ? '' : ' (may be left out)'}</h3>${bodyRows(requestBody.content)}`}
<h3>Answers</h3><table><tbody>${answers.join('')}</tbody></table></div></details>`;
}

export function apiPage(document: OpenapiDocument): string {
  const { info, tags, paths, components } = document;
  const of = (tag: string): string => Object.entries(paths).flatMap(([path, operations]) => Object.entries(operations).filter(([, operation]) => operation.tags.includes(tag)).map(([method, operation]) => operationBlock(path, method, operation))).join('\n');
  return page(`The API of Muniment ${info.version}`, `<a class="skip" href="#content">To the content</a>
<main id="content">
<h1>The API of Muniment</h1>
<p>${escape(info.description)} <a href="/openapi.json">The same as OpenAPI 3.1</a>; <a href="/">the first page</a>.</p>
<nav aria-label="Ways in"><ul>${tags.map(({ name }) => `<li><a href="#${anchor(name)}">${escape(name)}</a></li>`).join('')}<li><a href="#schemas">schemas</a></li></ul></nav>
${tags.map(({ name, description }) => `<section><h2 id="${anchor(name)}">${escape(name)}</h2><p class="note">${escape(description)}</p>${of(name)}</section>`).join('\n')}
<section><h2 id="schemas">Schemas</h2>
${Object.entries(components.schemas).map(([name, schema]) => `<details id="schema-${escape(name)}"><summary>${escape(name)}</summary><div><pre>${escape(JSON.stringify(schema, undefined, 2))}</pre></div></details>`).join('\n')}
</section>
</main>`);
}
